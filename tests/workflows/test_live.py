"""What the log of a fit says is read as a person would."""

from __future__ import annotations

import pytest

from aiida_mlip_autopipec.workflows.live import fit_progress

LINEAR = """    1.0 s  27 structures to train on, 3 to test on; 5 without neighbours inside the cutoff of 6 Å
    1.9 s  linear fit: a pool of 320 functions, cutoff 6 Å, 2 processes
    4.3 s    design matrix: 161 of 2803 atoms, 22 s left
"""
FULL = "   25.4 s    design matrix: 2803 of 2803 atoms, 0 s left\n"
ELIMINATION = "   31.1 s    validation error by number of functions: 320: 1.683, 200: 1.391, 180: 1.000\n"
NONLINEAR = """   12.0 s  nonlinear fit: at most 100 iterations, L2 penalty 1.0e-08
2026-11-23 16:32:31,347 I - Iteration   #1    (3 evals):        Loss: 5.2057e+00 | RMSE Energy(low): 1471.79 (1453.30) meV/at
2026-11-23 16:32:41,347 I - Iteration   #11    (13 evals):        Loss: 1.5e-03 | RMSE Energy(low): 14.79 (1453.30) meV/at
"""
BLOCK = "--------FIT STATS--------\nIteration:  #20  Loss:    Total:  6.4193e-01 (100%)\n"


@pytest.mark.parametrize(
    ("log", "told", "left"),
    [
        ("", "", None),
        (LINEAR, "design matrix: 161 of 2803 atoms", 22.0),
        (LINEAR + FULL, "design matrix: 2803 of 2803 atoms", None),
        (
            LINEAR + FULL + ELIMINATION,
            "validation error by number of functions: 320: 1.683, 200: 1.391, 180: 1.000",
            None,
        ),
        (NONLINEAR, "iteration 11 of at most 100, loss 1.5e-03", 89.0),
        (NONLINEAR + BLOCK, "iteration 20 of at most 100, loss 6.4193e-01", 89.0),
        (BLOCK, "iteration 20, loss 6.4193e-01", None),
    ],
)
def test_the_last_step_is_told(log: str, told: str, left: float | None) -> None:
    assert fit_progress(log) == (told, left)
