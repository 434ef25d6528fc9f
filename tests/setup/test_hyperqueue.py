"""Jobs with the scheduler HyperQueue get the resources of the config."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiida import orm
from aiida.engine import run
from ase import Atoms

from aiida_mlip_autopipec.config.schemas.oracle import AseOracleConfig
from aiida_mlip_autopipec.config.schemas.resources import ResourcesConfig
from aiida_mlip_autopipec.config.schemas.setup import ComputerConfig
from aiida_mlip_autopipec.dataset.trajectory import to_trajectories
from aiida_mlip_autopipec.oracle.calculation import AseLabelCalculation
from aiida_mlip_autopipec.programs.resources import job_metadata
from aiida_mlip_autopipec.setup.computer import setup_computer


def test_job_script_requests_cores_memory_and_time(
    label_code: orm.PortableCode, copper: list[Atoms], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    settings = {
        "label": "packed",
        "host": "login.example.org",
        "work_folder": "/scratch/work",
        "scheduler": "hyperqueue",
    }
    computer, _ = setup_computer(ComputerConfig(**settings))
    assert computer.scheduler_type == "hyperqueue"
    resources = ResourcesConfig(computer="packed", cores=3, memory_mb=500, walltime=90, queue="none", account="none")
    metadata = job_metadata(orm.Dict(resources.model_dump(mode="json")))
    run(
        AseLabelCalculation,
        code=label_code,
        structures=to_trajectories(copper[:1]),
        batch=orm.Dict({"Cu_000": [[0, 1]]}),
        method=orm.Dict(AseOracleConfig().method()),
        metadata={**metadata, "dry_run": True, "store_provenance": False},
    )
    (script,) = tmp_path.glob("submit_test/*/_aiidasubmit.sh")
    asked = [line.removeprefix("#HQ ") for line in script.read_text().splitlines() if line.startswith("#HQ")]
    assert {"--cpus=3", "--resource mem=500", "--time-request=90s", "--time-limit=90s"} <= set(asked)
