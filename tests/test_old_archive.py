"""Nodes that version 0.1.0 stored, before its modules moved: they load, answer, and are found by the cache."""

from __future__ import annotations

import json
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiida import orm
from aiida.common.links import LinkType
from aiida.engine import run_get_node
from aiida.manage.caching import enable_caching
from aiida.manage.configuration import Profile
from aiida.plugins import CalculationFactory
from aiida.tools.archive import import_archive
from ase import Atoms
from click.testing import CliRunner, Result

from aiida_mlip_autopipec.app import main
from aiida_mlip_autopipec.dataset.frame_files import read_frames
from aiida_mlip_autopipec.dataset.trajectory import to_atoms
from aiida_mlip_autopipec.provenance.queries import trace

ARCHIVE = Path(__file__).parent / "data" / "archive_0_1_0.aiida"


@pytest.fixture(scope="module")
def profile(aiida_profile: Profile, aiida_config: Any, aiida_profile_factory: Any) -> Iterator[Profile]:
    """A profile for the archive alone: other tests must not find its nodes."""
    with aiida_profile_factory(aiida_config, storage_backend="core.sqlite_dos") as profile:
        yield profile


@pytest.fixture(scope="module", autouse=True)
def nodes(profile: Profile) -> list[orm.Node]:
    """The nodes of the archive, in the profile."""
    group, _ = orm.Group.collection.get_or_create(ARCHIVE.name)
    import_archive(ARCHIVE, group=group)
    return list(group.nodes)


def only_run(kind: str, nodes: list[orm.Node]) -> orm.WorkChainNode:
    """Return the run of one kind that no other run called."""
    entry_point = f"aiida.workflows:mlip_autopipec.{kind}"
    runs = [one for one in nodes if isinstance(one, orm.WorkChainNode) and one.process_type == entry_point]
    (found,) = [one for one in runs if one.caller is None]
    return found


@pytest.fixture
def run(nodes: list[orm.Node]) -> orm.WorkChainNode:
    """The run without active learning."""
    return only_run("one_shot", nodes)


def mlip_auto(profile: Profile, *arguments: str) -> Result:
    done = CliRunner().invoke(main, [*arguments, "--profile", profile.name])
    assert done.exit_code == 0, done.output
    return done


def test_all_nodes_load(nodes: list[orm.Node]) -> None:
    assert len(nodes) > 400
    # A class that is not found is replaced by a plain one.
    assert {type(node) for node in nodes} & {orm.Data, orm.ProcessNode, orm.CalculationNode, orm.WorkflowNode} == set()


def test_the_processes_of_all_process_nodes_load(nodes: list[orm.Node]) -> None:
    processes = [one for one in nodes if isinstance(one, orm.ProcessNode)]
    assert len({one.process_type for one in processes}) > 20
    for one in processes:
        # Without its module, AiiDA falls back to the plain class of the node.
        assert one.process_class.__name__ == one.process_label.split("<")[0]


@pytest.mark.parametrize("kind", ["one_shot", "active_learning"])
def test_datasets_are_read(kind: str, nodes: list[orm.Node]) -> None:
    one = only_run(kind, nodes)
    frames = [atoms for trajectory in one.outputs.dataset.values() for atoms in to_atoms(trajectory)]
    metrics = one.outputs.metrics
    assert len(frames) == metrics["train"]["n_structures"] + metrics["test"]["n_structures"]
    assert {atoms.info["split"] for atoms in frames} == {"train", "test"}
    for atoms in frames:
        assert atoms.get_forces().shape == (len(atoms), 3)
        calculation = orm.load_node(atoms.info["calculation"])
        assert calculation.process_class.__name__ == calculation.process_label


def test_example_find_provenance_lists_all_processes_of_a_stored_potential(
    nodes: list[orm.Node], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    potential = only_run("active_learning", nodes).outputs.potential
    monkeypatch.setattr(sys, "argv", ["find_provenance.py", potential.uuid])
    runpy.run_path(str(Path(__file__).parents[1] / "examples" / "find_provenance.py"), run_name="__main__")
    printed = capsys.readouterr().out
    behind = {uuid for process in trace(potential).processes for uuid in process.uuids}
    assert behind and all(uuid in printed for uuid in behind)


def test_the_imported_dataset_is_exported(profile: Profile, tmp_path: Path) -> None:
    assert "imported" in mlip_auto(profile, "list").output
    mlip_auto(profile, "export", "imported", str(tmp_path / "data.extxyz"))
    assert (tmp_path / "data.extxyz").read_text().count("Lattice=") == 24


def test_provenance_commands_work_for_stored_nodes(
    run: orm.WorkChainNode, nodes: list[orm.Node], profile: Profile, tmp_path: Path
) -> None:
    potential = run.outputs.potential
    told = json.loads(mlip_auto(profile, "provenance", str(potential.pk), "--json").output)
    assert potential.uuid in json.dumps(told)
    shown = mlip_auto(profile, "provenance", str(run.pk), "--graph", str(tmp_path / "graph.svg")).output
    assert "generate_structures" in shown and "AseLabelCalculation" in shown
    assert (tmp_path / "graph.svg").read_text().startswith("<")
    label = next(node for node in run.called_descendants if node.process_label == "AseLabelCalculation")
    assert potential.uuid in mlip_auto(profile, "touched", label.uuid).output
    other = only_run("active_learning", nodes).outputs.potential
    differences = mlip_auto(profile, "compare", str(potential.pk), str(other.pk)).output
    assert "explore_structures" in differences and "select_grade" in differences


@pytest.mark.parametrize("kind", ["one_shot", "active_learning"])
def test_reports_and_stages_are_shown(kind: str, nodes: list[orm.Node], profile: Profile, tmp_path: Path) -> None:
    one = only_run(kind, nodes)
    mlip_auto(profile, "report", str(one.pk), "--output", str(tmp_path / "report.html"))
    page = (tmp_path / "report.html").read_text()
    assert one.outputs.potential.uuid in page or one.uuid in page
    assert str(one.pk) in mlip_auto(profile, "status", str(one.pk)).output


@pytest.fixture
def caching() -> Iterator[None]:
    with enable_caching():
        yield


@pytest.mark.parametrize("name", ["mlip_autopipec.generate", "mlip_autopipec.curate", "mlip_autopipec.training_files"])
def test_stored_calculations_are_reproduced_and_found_by_the_cache(
    name: str, run: orm.WorkChainNode, caching: None
) -> None:
    function = CalculationFactory(name)
    old = next(node for node in run.called_descendants if node.process_label == function.__name__)
    # Archives hold no hashes: compute the hash, as `verdi node rehash` does.
    old.base.caching.rehash()
    inputs = {link.link_label: link.node for link in old.base.links.get_incoming(link_type=LinkType.INPUT_CALC).all()}
    _, again = run_get_node(function, **inputs)
    assert again.is_finished_ok, again.exit_message
    found, expected = contents(again), contents(old)
    if name == "mlip_autopipec.generate":
        # Later versions separate the atoms of hot structures; all other structures are unchanged.
        assert len(found["frames"]) == len(expected["frames"])
        found, expected = (
            {"frames": [line for line in some["frames"] if "_hot'" not in line]} for some in (found, expected)
        )
        assert found["frames"]
    assert found == expected
    # AiiDA's hash includes the name and the source of the module: the cache finds the node only if both are unchanged.
    unchanged = again.base.caching.compute_hash() == old.base.caching.compute_hash()
    assert again.base.caching.get_cache_source() == (old.uuid if unchanged else None)
    assert unchanged or code_of(again) != code_of(old)


def code_of(node: orm.CalcFunctionNode) -> tuple[str, str]:
    """Return the module of a calcfunction, and its source."""
    return node.base.attributes.get("function_namespace"), node.base.repository.hash()


def contents(node: orm.CalcFunctionNode) -> dict[str, Any]:
    """Return the content of the outputs that version 0.1.0 also had: structures in any kind of node, and other data."""
    found: dict[str, Any] = {}
    frames: list[Atoms] = []
    for link in node.base.links.get_outgoing(link_type=LinkType.CREATE).all():
        output = link.node
        if isinstance(output, orm.SinglefileData) and output.filename.endswith(".traj"):
            frames += read_frames(output)
        elif isinstance(output, orm.TrajectoryData):
            frames += to_atoms(output)
        elif isinstance(output, orm.Dict) and link.link_label == "report":
            found[link.link_label] = {
                key: output[key] for key in ("n_input", "n_kept", "n_train", "n_test", "rejections")
            }
        else:
            found[link.link_label] = output.base.caching.compute_hash()
    # Sorted, since an archive does not keep the order of the links.
    return {**found, "frames": sorted(map(described, frames))}


def described(atoms: Atoms) -> str:
    """Return a structure with its labels as text; rounded, since linear algebra differs in the last bits between processors."""
    info = {key: atoms.info[key] for key in ("family", "block", "split", "group", "source_step") if key in atoms.info}
    results = {} if atoms.calc is None else atoms.calc.results
    labels = {name: results[name] for name in ("energy", "forces", "stress") if name in results}
    numbers = {"positions": atoms.positions, "cell": atoms.cell.array, **labels}
    return f"{atoms.symbols} {info} { {key: (np.round(values, 9) + 0.0).tolist() for key, values in numbers.items()} }"
