"""A copper potential with a narrow training set, and `explore_structures` run without AiiDA."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pytest
from aiida import orm
from aiida.manage.configuration import Profile
from ase import Atoms
from ase.build import bulk
from ase.io.trajectory import Trajectory

from aiida_mlip_autopipec.config.schemas.exploration import ExplorationConfig, SamplerCounts
from aiida_mlip_autopipec.config.schemas.training import TrainingConfig
from aiida_mlip_autopipec.exploration.calcfunctions import program_settings
from aiida_mlip_autopipec.programs.codes import JOBS, ensure_code
from aiida_mlip_autopipec.trainer.database import DatabaseManager

from ..conftest import label_by_emt
from ..training.conftest import WarmPacemaker
from ..warm_python import run_warm

SCRIPT = JOBS / "explore_structures"

NONE = dict.fromkeys(SamplerCounts.model_fields, 0)
"""No samplers of any kind."""


def only(**counts: int) -> dict[str, int]:
    """Return the numbers of samplers, zero for all kinds that are not given."""
    return {**NONE, **counts}


@dataclass(frozen=True)
class Potential:
    """The files of a fit."""

    folder: Path

    @property
    def yaml(self) -> Path:
        return self.folder / "potential.yaml"

    @property
    def asi(self) -> Path:
        return self.folder / "potential.asi"

    def nodes(self) -> dict[str, orm.SinglefileData]:
        return {"potential_yaml": orm.SinglefileData(self.yaml), "active_set": orm.SinglefileData(self.asi)}


@pytest.fixture(scope="session")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Potential:
    """A potential fitted only to fcc copper near its equilibrium."""
    random = np.random.default_rng(1)
    cells = [Atoms("Cu", cell=[15] * 3, positions=[[7] * 3])]
    for seed in range(24):
        cells.append(bulk("Cu", a=3.6 * random.uniform(0.98, 1.02), cubic=True) * (2, 1, 1))
        cells[-1].rattle(0.05, seed=seed)
    folder = tmp_path_factory.mktemp("narrow")
    DatabaseManager().save_dataset([label_by_emt(atoms) for atoms in cells], folder / "copper.traj")
    settings = TrainingConfig(n_functions=20, cutoff=5.0, order=3, test_fraction=0.2)
    return Potential(WarmPacemaker(folder / "fit", workers=1).train(folder / "copper.traj", settings).parent)


@pytest.fixture
def explore_code(aiida_profile: Profile) -> orm.PortableCode:
    """The portable code `explore_structures`."""
    return ensure_code("explore_structures")


def near_equilibrium(number: int = 0, **info: Any) -> Atoms:
    """Return a sampler, by default an MD run, whose start has a small extrapolation grade for `narrow`."""
    walker = bulk("Cu", cubic=True) * (2, 1, 1)
    walker.rattle(0.02, seed=number)
    walker.info = {
        "kind": "md",
        "family": "explored_md",
        "walker": number,
        "steps": 300,
        "seed": number,
        "timestep": 2.0,
        "temperature": 2500.0,
        **info,
    }
    return walker


@dataclass(frozen=True)
class Outcome:
    """Exit status, log and files of a run of the program."""

    status: int
    log: str
    folder: Path

    @property
    def failure(self) -> dict[str, str]:
        return json.loads((self.folder / "failure.json").read_text())

    @property
    def report(self) -> dict[str, Any]:
        return json.loads((self.folder / "exploration.json").read_text())

    @property
    def frames(self) -> list[Atoms]:
        path = self.folder / "frames.traj"
        if not path.stat().st_size:
            return []
        with Trajectory(str(path)) as file:
            return list(file)


def write_settings(folder: Path, **settings: Any) -> None:
    """Write `settings.json` into a folder."""
    (folder / "settings.json").write_text(json.dumps(program_settings(ExplorationConfig(**settings))))


def explore(
    folder: Path,
    walkers: Sequence[Atoms],
    potential: Path,
    active_set: Path,
    *options: str,
    run_program: Callable[..., CompletedProcess[str]] = run_warm,
    **settings: Any,
) -> Outcome:
    """Run the program in a folder."""
    folder.mkdir(exist_ok=True)
    with Trajectory(str(folder / "walkers.traj"), "w") as file:
        for atoms in walkers:
            file.write(atoms)
    write_settings(folder, **settings)
    files = ["settings.json", "walkers.traj", str(potential), str(active_set)]
    ended = run_program(SCRIPT, ["--workers", "1", *options, *files], folder)
    assert not ended.stderr, ended.stderr
    return Outcome(ended.returncode, ended.stdout, folder)
