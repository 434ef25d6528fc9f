"""What the log of a fit says is read as a person would."""

from __future__ import annotations

import pytest

from aiida_mlip_autopipec.workflows.live import fit_progress

LINEAR = """    0.4 s  linear fit: 200 functions, cutoff 6 Å, 4 processes
    3.1 s    design matrix: 400 of 1600 atoms, 9 s left
"""
NONLINEAR = """   12.0 s  nonlinear fit: at most 100 iterations, L2 penalty 1.0e-08
2026-11-23 16:32:31,347 I - Iteration   #1    (3 evals):        Loss: 5.2057e+00 | RMSE Energy(low): 1471.79 (1453.30) meV/at
2026-11-23 16:32:41,347 I - Iteration   #11    (13 evals):        Loss: 1.5e-03 | RMSE Energy(low): 14.79 (1453.30) meV/at
"""
BLOCK = "--------FIT STATS--------\nIteration:  #20  Loss:    Total:  6.4193e-01 (100%)\n"


@pytest.mark.parametrize(
    ("log", "told", "left"),
    [
        ("", "", None),
        (LINEAR, "design matrix: 400 of 1600 atoms", 9.0),
        (NONLINEAR, "iteration 11 of at most 100, loss 1.5e-03", 89.0),
        (NONLINEAR + BLOCK, "iteration 20 of at most 100, loss 6.4193e-01", 89.0),
        (BLOCK, "iteration 20, loss 6.4193e-01", None),
    ],
)
def test_the_last_step_is_told(log: str, told: str, left: float | None) -> None:
    assert fit_progress(log) == (told, left)
