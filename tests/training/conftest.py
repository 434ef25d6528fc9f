"""Fixtures of the trainer's tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from aiida import orm
from aiida.engine import run_get_node
from ase import Atoms

from aiida_mlip_autopipec.config.schemas.generator import GeneratorConfig
from aiida_mlip_autopipec.config.schemas.training import TrainingConfig
from aiida_mlip_autopipec.dataset.trajectory import to_trajectories
from aiida_mlip_autopipec.generator.structure import StructureGenerator
from aiida_mlip_autopipec.trainer.database import DatabaseManager
from aiida_mlip_autopipec.trainer.pacemaker import PacemakerWrapper
from aiida_mlip_autopipec.training.workchain import PaceTrainWorkChain

from ..conftest import label_by_emt
from ..warm_python import run_warm


class WarmPacemaker(PacemakerWrapper):
    """The wrapper, whose program is forked from a Python that has the libraries."""

    def _run_program(self, script: Path, arguments: list[str], log: Path) -> int:
        done = run_warm(script, arguments, log.parent)
        log.write_text(done.stdout + done.stderr, encoding="utf-8")
        return done.returncode


@pytest.fixture(scope="session")
def thirty_copper() -> list[Atoms]:
    """Thirty generated copper structures with EMT labels."""
    generated = StructureGenerator(GeneratorConfig(max_atoms=8)).generate_initial_set("Cu", 30)
    return [label_by_emt(atoms) for atoms in generated]


@pytest.fixture(scope="session")
def small_fit() -> TrainingConfig:
    """Settings of a fit that takes one second."""
    return TrainingConfig(n_functions=20, cutoff=5.0, order=3, test_fraction=0.2)


@pytest.fixture(scope="session")
def fitted(tmp_path_factory: pytest.TempPathFactory, thirty_copper: list[Atoms], small_fit: TrainingConfig) -> Path:
    """The folder of a finished fit."""
    folder = tmp_path_factory.mktemp("fit")
    DatabaseManager().save_dataset(thirty_copper, folder / "copper.traj")
    return WarmPacemaker(folder / "fit", workers=1).train(folder / "copper.traj", small_fit).parent


def run_fit(
    frames: list[Atoms], resources: orm.Dict, code: orm.PortableCode, jobs: int = 3, **settings: Any
) -> orm.WorkChainNode:
    config = TrainingConfig(**{"n_functions": 12, "cutoff": 5.0, "order": 2, **settings})
    _, node = run_get_node(
        PaceTrainWorkChain,
        dataset=to_trajectories(frames),
        settings=orm.Dict(config.model_dump(mode="json")),
        resources=resources,
        code=code,
        max_iterations=orm.Int(jobs),
    )
    return node


def with_prepended(resources: orm.Dict, line: str) -> orm.Dict:
    content = resources.get_dict()
    return orm.Dict({**content, "prepend_text": f"{content['prepend_text']}\n{line}"})
