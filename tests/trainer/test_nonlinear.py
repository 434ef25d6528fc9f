"""A short fit of the nonlinear engine with tensorpotential, in an environment of its own."""

from __future__ import annotations

import os

import pytest
from aiida import orm
from aiida.engine import run_get_node
from ase import Atoms

from aiida_mlip_autopipec.config.schemas.training import TrainingConfig
from aiida_mlip_autopipec.dataset.trajectory import to_trajectories
from aiida_mlip_autopipec.trainer.workflow import PaceTrainWorkChain

TENSORPOT = os.environ.get("MLIP_TENSORPOT")


@pytest.mark.skipif(TENSORPOT is None, reason="MLIP_TENSORPOT names no environment with tensorpotential")
def test_a_short_nonlinear_fit(thirty_copper: list[Atoms], resources: orm.Dict, train_code: orm.PortableCode) -> None:
    config = TrainingConfig(
        engine="nonlinear", n_functions=20, cutoff=5.0, order=3, max_epochs=30, batch_size=10, test_fraction=0.2
    )
    content = resources.get_dict()
    resources = orm.Dict({**content, "prepend_text": f"export PATH={TENSORPOT}/bin:$PATH"})
    _, node = run_get_node(
        PaceTrainWorkChain,
        dataset=to_trajectories(thirty_copper),
        settings=orm.Dict(config.model_dump(mode="json")),
        resources=resources,
        code=train_code,
    )
    assert node.is_finished_ok, node.exit_message
    metrics = node.outputs.metrics.get_dict()
    errors = metrics["chosen"]
    better = (
        "nonlinear" if _product(errors["validation_nonlinear"]) < _product(errors["validation_linear"]) else "linear"
    )
    assert metrics["engine"] == better
    log = node.called[-1].outputs.stdout.get_content()
    assert "batch_size" in log or "Batch size" in log or "Iteration" in log


def _product(errors: dict[str, float]) -> float:
    energy, force = errors.values()
    return energy * force
