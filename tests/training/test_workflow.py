"""The WorkChain of the fit: its outputs, and its exit messages after failures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from aiida import orm
from aiida.engine import run_get_node
from ase import Atoms

from aiida_mlip_autopipec.dataset.trajectory import to_trajectories
from aiida_mlip_autopipec.training.workchain import PaceTrainWorkChain

from .conftest import run_fit, with_prepended

SITE = """
import os, signal, sys
from pathlib import Path
if any(argument.endswith("pace_train") for argument in sys.orig_argv) and not Path({witness!r}).exists():
    Path({witness!r}).touch()
    print("a line of the log", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""
"""Runs at the start of a Python process: kills the first fit."""


def test_the_outputs_of_a_fit(thirty_copper: list[Atoms], resources: orm.Dict, train_code: orm.PortableCode) -> None:
    node = run_fit(thirty_copper, resources, train_code)
    assert node.is_finished_ok, node.exit_message
    assert node.outputs.potential.filename == "potential.yace"
    assert node.outputs.active_set.filename == "potential.asi"
    assert node.outputs.potential_yaml.filename == "potential.yaml"
    assert node.outputs.metrics["n_functions"] == 12
    (job,) = node.called_descendants[1:]
    assert job.process_label.startswith("ShellJob<pace_train")
    assert node.outputs.potential.creator.uuid == job.uuid


def test_killed_fit_is_restarted(
    thirty_copper: list[Atoms], resources: orm.Dict, train_code: orm.PortableCode, tmp_path: Path
) -> None:
    witness = tmp_path / "witness"
    (tmp_path / "sitecustomize.py").write_text(SITE.format(witness=str(witness)))
    node = run_fit(thirty_copper, with_prepended(resources, f"export PYTHONPATH={tmp_path}"), train_code)
    assert witness.exists()
    assert node.is_finished_ok, node.exit_message
    jobs = [called for called in node.called if isinstance(called, orm.CalcJobNode)]
    assert len(jobs) == 2
    assert jobs[0].outputs.failure["kind"] == "killed"


def test_fit_continues_in_another_job_after_its_walltime(
    thirty_copper: list[Atoms], resources: orm.Dict, train_code: orm.PortableCode
) -> None:
    structures = [atoms for atoms in thirty_copper if len(atoms) > 2]
    at_once = run_fit(structures, resources, train_code, n_functions=60)
    # A walltime of a second is over before the first part of the design matrix is done: each job does just one.
    in_pieces = run_fit(structures, orm.Dict({**resources.get_dict(), "walltime": 1}), train_code, 30, n_functions=60)
    assert in_pieces.is_finished_ok, in_pieces.exit_message
    jobs = [called for called in in_pieces.called if isinstance(called, orm.CalcJobNode)]
    assert len(jobs) >= 3
    assert {job.outputs.failure["kind"] for job in jobs[:-1]} == {"out_of_time"}
    assert "continuing after" in jobs[-1].outputs.stdout.get_content()
    assert jobs[-1].inputs.nodes.previous.value == jobs[-2].outputs.remote_folder.get_remote_path()
    for split in ("train", "test"):
        assert in_pieces.outputs.metrics[split] == at_once.outputs.metrics[split]


def test_exit_message_of_a_fit_out_of_time_without_restarts(
    thirty_copper: list[Atoms], resources: orm.Dict, train_code: orm.PortableCode
) -> None:
    node = run_fit(thirty_copper, orm.Dict({**resources.get_dict(), "walltime": 1}), train_code, 1)
    assert node.exit_status == PaceTrainWorkChain.exit_codes.ERROR_OUT_OF_TIME.status
    assert "walltime" in node.exit_message


@pytest.mark.parametrize(
    ("settings", "code_name", "message"),
    [
        ({"n_functions": 5000}, "ERROR_TOO_FEW_ATOMS", "5000 functions"),
        ({"engine": "nonlinear"}, "ERROR_NOT_INSTALLED", "pip install"),
    ],
)
def test_exit_message_is_that_of_the_program(
    thirty_copper: list[Atoms],
    resources: orm.Dict,
    train_code: orm.PortableCode,
    settings: dict[str, Any],
    code_name: str,
    message: str,
) -> None:
    node = run_fit(thirty_copper, resources, train_code, **settings)
    assert node.exit_status == PaceTrainWorkChain.exit_codes[code_name].status
    assert message in node.exit_message
    assert len([called for called in node.called if isinstance(called, orm.CalcJobNode)]) == 1


def test_exit_status_without_neighbours_inside_the_cutoff(
    copper: list[Atoms], resources: orm.Dict, train_code: orm.PortableCode
) -> None:
    from ..conftest import label_by_emt

    dimers = []
    for distance in (5.5, 6.0, 6.5):
        dimer = Atoms("Cu2", positions=[[0, 0, 0], [0, 0, distance]])
        dimers.append(label_by_emt(dimer))
    node = run_fit(dimers, resources, train_code)
    assert node.exit_status == PaceTrainWorkChain.exit_codes.ERROR_NO_NEIGHBOURS.status


@pytest.mark.parametrize("line", ["export PATH=/nowhere", "export PYTHONPATH={missing}"])
def test_exit_status_if_python_or_its_packages_are_missing(
    thirty_copper: list[Atoms], resources: orm.Dict, train_code: orm.PortableCode, line: str, tmp_path: Path
) -> None:
    (tmp_path / "ase.py").write_text("raise ModuleNotFoundError('No module named ase')")
    node = run_fit(thirty_copper, with_prepended(resources, line.format(missing=tmp_path)), train_code)
    assert node.exit_status == PaceTrainWorkChain.exit_codes.ERROR_NOT_INSTALLED.status


def test_wrong_settings_are_refused_before_anything_runs(
    thirty_copper: list[Atoms], resources: orm.Dict, train_code: orm.PortableCode
) -> None:
    with pytest.raises(ValueError, match="order"):
        run_get_node(
            PaceTrainWorkChain,
            dataset=to_trajectories(thirty_copper),
            settings=orm.Dict({"order": 77}),
            resources=resources,
            code=train_code,
        )
