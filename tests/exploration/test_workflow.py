"""The exploration WorkChain: saved frames as nodes, restarts, and messages of failures."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from aiida import orm
from aiida.engine import run_get_node

from aiida_mlip_autopipec.config.schemas.exploration import ExplorationConfig
from aiida_mlip_autopipec.dataset.trajectory import all_frames
from aiida_mlip_autopipec.exploration.workchain import ExplorationWorkChain

from ..conftest import WALLTIMES
from ..training.conftest import with_prepended
from .conftest import Potential, only

SITE = """
import os, signal, sys
from pathlib import Path
if any(argument.endswith("explore_structures") for argument in sys.orig_argv) and not Path({witness!r}).exists():
    Path({witness!r}).touch()
    import mlip_explore.store as store
    add = store.Store.add
    def kill(*given):
        add(*given)
        os.kill(os.getpid(), signal.SIGKILL)
    store.Store.add = kill
"""
"""Runs at the start of a Python process: kills the first exploration as soon as a sampler has finished."""


def run(
    potential: dict[str, orm.SinglefileData],
    resources: orm.Dict,
    code: orm.PortableCode,
    inputs: dict[str, Any] | None = None,
    **settings: Any,
) -> orm.WorkChainNode:
    _, node = run_get_node(
        ExplorationWorkChain,
        **potential,
        settings=orm.Dict({"steps": 100, "walkers": only(nvt=2, relaxation=1), **settings}),
        resources=resources,
        code=code,
        **{"elements": orm.List(["Cu"]), **(inputs or {})},
    )
    return node


def jobs_of(node: orm.WorkChainNode) -> list[orm.CalcJobNode]:
    return [called for called in node.called_descendants if isinstance(called, orm.CalcJobNode)]


def test_the_outputs_of_an_exploration(narrow: Potential, resources: orm.Dict, explore_code: orm.PortableCode) -> None:
    node = run(narrow.nodes(), resources, explore_code, jobs=2, walkers=only(nvt=3, surface=1, relaxation=2))
    assert node.is_finished_ok, node.exit_message
    assert len(jobs_of(node)) == 2
    candidates = all_frames(node.outputs.candidates)
    assert candidates
    assert {atoms.info["family"] for atoms in candidates} <= {
        "explored_md",
        "explored_surface",
        "explored_relaxation",
    }
    limit = ExplorationConfig().select_grade
    assert all(atoms.calc is None and atoms.info["grade"] >= limit for atoms in candidates)
    report = node.outputs.report
    assert report["complete"] and report["done"] == report["walkers"] == 6
    assert report["candidates"] == len(candidates)
    assert {atoms.info["walker"] for atoms in candidates} == {
        way["walker"] for way in report["ways"] if way["handed_in"]
    }
    assert sum(report["ended"].values()) == 6
    assert report["largest_grade"] == pytest.approx(max(atoms.info["grade"] for atoms in candidates))


def test_exploration_without_saved_frames_has_no_candidates(
    narrow: Potential, resources: orm.Dict, explore_code: orm.PortableCode
) -> None:
    limits = {"select_grade": orm.Float(1e6), "stop_grade": orm.Float(1e7)}
    node = run(narrow.nodes(), resources, explore_code, limits, steps=5, relaxation_steps=5)
    assert node.is_finished_ok, node.exit_message
    assert "candidates" not in node.outputs
    assert node.outputs.report["candidates"] == 0 and node.outputs.report["complete"]
    assert node.outputs.report["limits"]["select_grade"] == 1e6


def test_restarted_job_continues_from_the_folder_of_the_killed_one(
    narrow: Potential, resources: orm.Dict, explore_code: orm.PortableCode, tmp_path: Path
) -> None:
    witness = tmp_path / "witness"
    (tmp_path / "sitecustomize.py").write_text(SITE.format(witness=str(witness)))
    content = resources.get_dict()
    killed = with_prepended(orm.Dict({**content, "cores": 1}), f"export PYTHONPATH={tmp_path}:$PWD")
    node = run(narrow.nodes(), killed, explore_code)
    assert witness.exists()
    assert node.is_finished_ok, node.exit_message
    first, second = jobs_of(node)
    assert first.outputs.failure["kind"] == "killed"
    assert "1 of 3 samplers were finished by an earlier job" in second.outputs.stdout.get_content()
    assert node.outputs.report["complete"]


@pytest.mark.parametrize("clusters", [1, 0])
def test_frames_of_finished_samplers_are_kept_without_restarts(
    narrow: Potential, resources: orm.Dict, explore_code: orm.PortableCode, clusters: int
) -> None:
    # The cluster stops at once, since its grade is large; the deformation, with tiny steps, takes hours.
    walkers = only(cluster=clusters, deformation=1)
    limits = {"select_grade": orm.Float(100.0), "stop_grade": orm.Float(400.0)}
    endless = {"deformation_steps": 10**6, "max_strain": 1e-3, "rattle": 0.0}
    for walltime in WALLTIMES:
        short = orm.Dict({**resources.get_dict(), "walltime": walltime, "cores": 1})
        node = run(narrow.nodes(), short, explore_code, limits, max_restarts=0, walkers=walkers, **endless)
        if node.is_finished_ok if clusters else "unfinished" in node.exit_message:
            break
    if not clusters:
        assert node.exit_status == ExplorationWorkChain.exit_codes.ERROR_OUT_OF_TIME.status
        assert "1 of 1 samplers unfinished" in node.exit_message
        return
    assert node.is_finished_ok, node.exit_message
    assert node.outputs.report["done"] == 1 and not node.outputs.report["complete"]
    assert len(all_frames(node.outputs.candidates)) == 1


@pytest.mark.parametrize("fault", ["no active set", "another element", "no python-ace"])
def test_exit_message_gives_the_reason_of_a_failure(
    narrow: Potential, resources: orm.Dict, explore_code: orm.PortableCode, tmp_path: Path, fault: str
) -> None:
    files = {"potential_yaml": tmp_path / "potential.yaml", "active_set": tmp_path / "potential.asi"}
    shutil.copy(narrow.yaml, files["potential_yaml"])
    shutil.copy(narrow.asi, files["active_set"])
    elements, expected = ["Cu"], ("ERROR_POTENTIAL_UNUSABLE", "cannot be loaded")
    if fault == "no active set":
        files["active_set"].write_text("nothing\n")
    elif fault == "another element":
        elements, expected = ["Al", "Cu"], ("ERROR_BAD_INPUT", "not Al")
    else:
        (tmp_path / "pyace.py").write_text("raise ImportError('no pyace here')")
        resources = with_prepended(resources, f"export PYTHONPATH={tmp_path}")
        expected = ("ERROR_NOT_INSTALLED", "pip install")
    nodes = {name: orm.SinglefileData(path) for name, path in files.items()}
    node = run(nodes, resources, explore_code, {"elements": orm.List(elements)})
    assert node.exit_status == ExplorationWorkChain.exit_codes[expected[0]].status
    assert expected[1] in node.exit_message
    assert len(jobs_of(node)) == 1


def test_wrong_limits_and_settings_are_refused(
    narrow: Potential, resources: orm.Dict, explore_code: orm.PortableCode
) -> None:
    with pytest.raises(ValueError, match="no sampler of any kind"):
        run(narrow.nodes(), resources, explore_code, walkers=only())
    node = run(narrow.nodes(), resources, explore_code, {"select_grade": orm.Float(30.0)})
    assert node.exit_status == ExplorationWorkChain.exit_codes.ERROR_BAD_INPUT.status
    assert "below select_grade" in node.exit_message
