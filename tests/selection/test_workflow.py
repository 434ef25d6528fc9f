"""The WorkChain of the selection: its outputs, and its messages after failures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from aiida import orm
from aiida.engine import run_get_node
from aiida.manage.configuration import Profile
from ase import Atoms
from ase.build import bulk

from aiida_mlip_autopipec.config.schemas.generator import GeneratorConfig
from aiida_mlip_autopipec.config.schemas.selection import SelectionConfig
from aiida_mlip_autopipec.dataset.frame_files import POOL, count_structures, pool_file
from aiida_mlip_autopipec.dataset.trajectory import all_frames, to_atoms, to_trajectories
from aiida_mlip_autopipec.generator.structure import StructureGenerator
from aiida_mlip_autopipec.programs.codes import ensure_code
from aiida_mlip_autopipec.selection.workchain import SelectionWorkChain

from ..training.conftest import with_prepended
from ..training.test_workflow import SITE


@pytest.fixture(scope="module")
def pool() -> list[Atoms]:
    """Forty generated copper structures."""
    return StructureGenerator(GeneratorConfig(max_atoms=8)).generate_initial_set("Cu", 40)


@pytest.fixture
def code(aiida_profile: Profile) -> orm.PortableCode:
    """The portable code `select_structures`."""
    return ensure_code("select_structures")


def run_selection(
    candidates: list[Atoms],
    resources: orm.Dict,
    code: orm.AbstractCode,
    count: int = 12,
    known: list[Atoms] | None = None,
    **settings: Any,
) -> orm.WorkChainNode:
    config = SelectionConfig(**{"n_functions": 40, **settings})
    _, node = run_get_node(
        SelectionWorkChain,
        candidates=to_trajectories(candidates),
        known=to_trajectories(known or []),
        count=orm.Int(count),
        settings=orm.Dict(config.model_dump(mode="json")),
        resources=resources,
        code=code,
    )
    return node


def test_the_outputs_of_a_selection(pool: list[Atoms], resources: orm.Dict, code: orm.PortableCode) -> None:
    node = run_selection(pool, resources, code)
    assert node.is_finished_ok, node.exit_message
    selected, report = node.outputs.selected, node.outputs.report.get_dict()
    assert count_structures(selected) == 12 == len(report["chosen"])
    assert [one["rank"] for one in report["chosen"]] == list(range(12))
    assert (report["chosen"][0]["family"], report["chosen"][0]["reason"]) == ("isolated_atom", "required")
    assert {one["reason"] for one in report["chosen"]} == {"required", "information", "random"}
    chosen = {(one["label"], one["step"]) for one in report["chosen"]}
    left = {(label, step) for label, some in report["left_out"].items() for step in some["steps"]}
    assert chosen | left == {(label, n) for label, one in node.inputs.candidates.items() for n in range(one.numsteps)}
    assert not chosen & left


def test_every_selected_structure_names_its_candidate(
    pool: list[Atoms], resources: orm.Dict, code: orm.PortableCode
) -> None:
    node = run_selection(pool, resources, code, method="farthest_point")
    assert node.is_finished_ok, node.exit_message
    for label, selected in node.outputs.selected.items():
        candidates = node.inputs.candidates[label]
        for atoms in to_atoms(selected):
            assert atoms.info["source_uuid"] == candidates.uuid
            (candidate,) = to_atoms(candidates, [atoms.info["source_step"]])
            assert (atoms.positions == candidate.positions).all() and atoms.info["family"] == candidate.info["family"]
        assert {link.node.process_label for link in selected.base.links.get_incoming().all()} >= {"take_selected"}


def test_candidates_may_be_a_pool_and_trajectories(
    pool: list[Atoms], resources: orm.Dict, code: orm.PortableCode
) -> None:
    candidates = {POOL: pool_file(pool[:25]), **to_trajectories(pool[25:])}
    _, node = run_get_node(
        SelectionWorkChain,
        candidates=candidates,
        count=orm.Int(12),
        settings=orm.Dict(SelectionConfig(n_functions=40).model_dump(mode="json")),
        resources=resources,
        code=code,
    )
    assert node.is_finished_ok, node.exit_message
    report = node.outputs.report.get_dict()
    assert report["n_candidates"] == len(pool)
    frames = {(POOL, step): atoms for step, atoms in enumerate(pool[:25])}
    frames |= {
        (label, step): atoms
        for label, node in candidates.items()
        if label != POOL
        for step, atoms in enumerate(to_atoms(node))
    }
    wanted = sorted(str(frames[entry["label"], entry["step"]].positions) for entry in report["chosen"])
    assert wanted == sorted(str(atoms.positions) for atoms in all_frames(node.outputs.selected))
    assert {entry["label"] == POOL for entry in report["chosen"]} == {True, False}


def test_known_structures_are_not_selected_again(
    pool: list[Atoms], resources: orm.Dict, code: orm.PortableCode
) -> None:
    known = [atoms for atoms in pool if atoms.info["family"] not in ("isolated_atom", "dimer")][:20]
    node = run_selection([*pool, known[0].copy() * (2, 1, 1)], resources, code, count=60, known=known)
    assert node.is_finished_ok, node.exit_message
    assert count_structures(node.outputs.selected) == len(pool) - 20
    assert {str(atoms.positions) for atoms in all_frames(node.outputs.selected)}.isdisjoint(
        str(atoms.positions) for atoms in known
    )


def test_a_killed_job_is_submitted_once_more(
    pool: list[Atoms], resources: orm.Dict, code: orm.PortableCode, tmp_path: Path
) -> None:
    witness = tmp_path / "witness"
    site = SITE.format(witness=str(witness)).replace("pace_train", "select_structures")
    (tmp_path / "sitecustomize.py").write_text(site)
    node = run_selection(pool, with_prepended(resources, f"export PYTHONPATH={tmp_path}"), code)
    assert witness.exists()
    assert node.is_finished_ok, node.exit_message
    assert len([called for called in node.called if isinstance(called, orm.CalcJobNode)]) == 2


def test_exit_message_after_repeated_kills(pool: list[Atoms], resources: orm.Dict, code: orm.PortableCode) -> None:
    node = run_selection(pool, with_prepended(resources, "ulimit -c 0; kill -9 $$"), code)
    assert node.exit_status == SelectionWorkChain.exit_codes.ERROR_KILLED.status
    assert len([called for called in node.called if isinstance(called, orm.CalcJobNode)]) == 2


def test_exit_message_for_candidates_that_cannot_be_used(resources: orm.Dict, code: orm.PortableCode) -> None:
    slab = bulk("Cu", cubic=True)
    slab.pbc = (True, True, False)
    node = run_selection([slab], resources, code)
    assert node.exit_status == SelectionWorkChain.exit_codes.ERROR_BAD_INPUT.status
    assert "periodic in some directions only" in node.exit_message


def test_exit_message_for_candidates_that_are_all_known(resources: orm.Dict, code: orm.PortableCode) -> None:
    crystal = bulk("Cu", cubic=True)
    node = run_selection([crystal], resources, code, known=[crystal])
    assert node.exit_status == SelectionWorkChain.exit_codes.ERROR_NOTHING_NEW.status
    assert "none of the 1 candidates differs from the known structures" in node.exit_message


def test_exit_message_without_python_ace_says_what_to_install(
    pool: list[Atoms], resources: orm.Dict, code: orm.PortableCode, tmp_path: Path
) -> None:
    (tmp_path / "pyace.py").write_text("raise ImportError('no pyace here')")
    node = run_selection(pool, with_prepended(resources, f"export PYTHONPATH={tmp_path}"), code)
    assert node.exit_status == SelectionWorkChain.exit_codes.ERROR_NOT_INSTALLED.status
    assert "pip install" in node.exit_message


def test_selection_of_no_structures_is_refused(pool: list[Atoms], resources: orm.Dict, code: orm.PortableCode) -> None:
    with pytest.raises(ValueError, match="nothing to select"):
        run_selection(pool, resources, code, method="none")
    with pytest.raises(ValueError, match="at least 1"):
        run_selection(pool, resources, code, count=0)
