"""A short fit of the nonlinear engine with tensorpotential, in a separate environment."""

from __future__ import annotations

import os
import re

import pytest
from aiida import orm
from ase import Atoms

from aiida_mlip_autopipec.runs.live import fit_progress

from .conftest import run_fit, with_prepended

TENSORPOT = os.environ.get("MLIP_TENSORPOT")


@pytest.mark.skipif(TENSORPOT is None, reason="MLIP_TENSORPOT names no environment with tensorpotential")
def test_a_short_nonlinear_fit(thirty_copper: list[Atoms], resources: orm.Dict, train_code: orm.PortableCode) -> None:
    node = run_fit(
        thirty_copper,
        with_prepended(resources, f"export PATH={TENSORPOT}/bin:$PATH"),
        train_code,
        engine="nonlinear",
        order=3,
        max_epochs=30,
        batch_size=10,
    )
    assert node.is_finished_ok, node.exit_message
    metrics = node.outputs.metrics.get_dict()
    errors = metrics["chosen"]
    better = (
        "nonlinear" if _product(errors["validation_nonlinear"]) < _product(errors["validation_linear"]) else "linear"
    )
    assert metrics["engine"] == better
    log = node.called[-1].outputs.stdout.get_content()
    assert re.search(r"Batch size: 10\b", log)
    # The progress that `status` would have shown during the fit.
    begun = log[: log.index("Iteration   #7 ")]
    told = fit_progress(begun)
    assert re.fullmatch(r"step \d of \d, nonlinear fit, iteration 6 of at most 30", told.step)
    assert re.fullmatch(r"\d\.\d+e[-+]\d\d", told.loss)
    assert told.seconds_left is not None and told.seconds_left >= 0.0


def _product(errors: dict[str, float]) -> float:
    energy, force = errors.values()
    return energy * force
