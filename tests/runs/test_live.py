"""Progress of jobs, read from their logs."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from ase import Atoms

from aiida_mlip_autopipec.runs.live import FitProgress, fit_progress, with_log
from aiida_mlip_autopipec.runs.progress import Stage

from ..oracle.conftest import label_command

LINEAR = """    1.0 s  27 training structures, 3 test structures; 5 without neighbours inside the cutoff of 6 Å
    2.0 s  progress: step 1 of 6, trials of cutoffs, 0 %, 58 s left, 20 s of them after this step
   10.0 s    trial: SBessel, cutoff 6 Å: validation error 0.0522
   20.0 s  progress: step 1 of 6, trials of cutoffs, 47 %, 60 s left, 20 s of them after this step, loss 0.0522
   21.0 s    trial: SBessel, cutoff 7 Å: validation error 0.0522
"""
NONLINEAR = """   10.0 s  progress: step 4 of 7, nonlinear fit, 0 %, 500 s left, 20 s of them after this step
   12.0 s  nonlinear fit: at most 100 iterations, L2 penalty 1.0e-08
"""
FIRST = """\
2026-11-23 16:32:31,347 I - Iteration   #1    (3 evals):        Loss: 5.2057e+00 | RMSE Energy(low): 1471.79 (1453.30) meV/at
"""
ELEVENTH = """\
2026-11-23 16:32:41,347 I - Iteration   #11    (13 evals):        Loss: 1.5e-03 | RMSE Energy(low): 14.79 (1453.30) meV/at
"""
BLOCK = "--------FIT STATS--------\nIteration:  #20  Loss:    Total:  6.4193e-01 (100%)\n"
LATER = "   99.0 s  progress: step 5 of 7, active set, 0 %, 11 s left, 10 s of them after this step\n"
STEP = "step 4 of 7, nonlinear fit, iteration"


@pytest.mark.parametrize(
    ("log", "told"),
    [
        ("", FitProgress()),
        ("    1.0 s  27 training structures\n", FitProgress()),
        (LINEAR[: LINEAR.index("   10.0 s")], FitProgress("step 1 of 6, trials of cutoffs, 0 %")),
        (LINEAR, FitProgress("step 1 of 6, trials of cutoffs, 47 %", 60.0, 0.25, "0.0522")),
        (NONLINEAR, FitProgress("step 4 of 7, nonlinear fit, 0 %", 500.0, 10 / 510, "")),
        (NONLINEAR + FIRST, FitProgress(f"{STEP} 1 of at most 100", 500.0, 10 / 510, "5.2057e+00")),
        # 89 iterations of 1 s each, and 20 s for the later steps.
        (NONLINEAR + FIRST + ELEVENTH, FitProgress(f"{STEP} 11 of at most 100", 109.0, 20 / 129, "1.5e-03")),
        (NONLINEAR + FIRST + ELEVENTH + BLOCK, FitProgress(f"{STEP} 20 of at most 100", 109.0, 20 / 129, "6.4193e-01")),
        (NONLINEAR + FIRST + ELEVENTH + LATER, FitProgress("step 5 of 7, active set, 0 %", 11.0, 0.9, "")),
    ],
)
def test_the_time_left_is_that_of_the_whole_fit(log: str, told: FitProgress) -> None:
    assert fit_progress(log) == told


def test_number_of_finished_labels_is_read_from_the_log(copper: list[Atoms], tmp_path: Path) -> None:
    ran = subprocess.run(
        label_command(tmp_path, copper, "emt"), cwd=tmp_path, capture_output=True, text=True, check=True
    )
    stage = with_log(Stage("labels", "running", log="labels"), ran.stdout + ran.stderr)
    assert stage.step == f"{len(copper)} more structures done in running jobs"
