"""The commands on stored data: import, export, list, provenance, touched, compare."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from aiida import orm
from aiida.engine import run_get_node
from ase import Atoms
from ase.build import bulk
from ase.io import read, write

from aiida_mlip_autopipec.config.errors import UserError
from aiida_mlip_autopipec.config.schemas.pipeline import PipelineConfig
from aiida_mlip_autopipec.dataset.library import DatasetGroup, find_datasets, load_dataset, store_dataset
from aiida_mlip_autopipec.dataset.trajectory import attach_labels, frames_with_source
from aiida_mlip_autopipec.pipelines.builders import build_one_shot
from aiida_mlip_autopipec.provenance.queries import dependent_potentials, differences, find_potentials, trace
from aiida_mlip_autopipec.provenance.sources import DatasetSource
from aiida_mlip_autopipec.report.collect import collect
from aiida_mlip_autopipec.report.summary import summary

from ..conftest import label_by_emt


@pytest.fixture
def mlip_auto(run_here):
    """Run a command in this process."""
    return run_here


@pytest.fixture
def data(labelled_copper: list[Atoms], tmp_path: Path) -> Path:
    write(tmp_path / "copper.extxyz", labelled_copper)
    return tmp_path / "copper.extxyz"


@pytest.fixture
def generated() -> list[Atoms]:
    """Strained and rattled crystals."""
    generator = np.random.default_rng(1)
    frames = []
    for number in range(20):
        atoms = bulk("Cu", cubic=True)
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + 0.02 * generator.normal(size=(3, 3))), scale_atoms=True)
        atoms.rattle(0.05, seed=number)
        frames.append(atoms)
    return frames


def test_imported_datasets_are_listed_and_exported(
    mlip_auto, data: Path, labelled_copper: list[Atoms], tmp_path: Path
) -> None:
    done = mlip_auto("import", str(data), "--label", "copper of mine")
    assert done.exit_code == 0, done.output
    (dataset,) = [found for found in find_datasets() if found.name == "copper of mine"]
    assert (dataset.n_structures, dataset.elements) == (6, ("Cu",))
    assert "copper of mine" in mlip_auto("list").output
    for name in ("out.extxyz", "out.db", "out.traj"):
        assert mlip_auto("export", "copper of mine", name).exit_code == 0
        energies = sorted(atoms.get_potential_energy() for atoms in read(tmp_path / name, ":"))
        assert np.allclose(energies, sorted(atoms.get_potential_energy() for atoms in labelled_copper), atol=1e-7)
    again = mlip_auto("import", str(data), "--label", "copper of mine")
    assert again.exit_code == 1 and "already" in again.output


def test_nothing_is_stored_if_one_file_is_damaged(mlip_auto, data: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.extxyz"
    broken.write_text(data.read_text()[:-40])
    before = orm.QueryBuilder().append(orm.Node).count()
    done = mlip_auto("import", str(data), str(broken), "--label", "half")
    assert done.exit_code == 1
    assert "broken.extxyz" in done.output and "frame" in done.output
    assert orm.QueryBuilder().append(orm.Node).count() == before
    assert not orm.QueryBuilder().append(DatasetGroup, filters={"label": "half"}).count()


def test_files_of_a_potential_are_exported(mlip_auto, finished_run: orm.WorkChainNode, tmp_path: Path) -> None:
    for identifier in (finished_run.pk, finished_run.outputs.potential.pk):
        assert mlip_auto("export", str(identifier), f"{identifier}.yace").exit_code == 0
        written = (tmp_path / f"{identifier}.yace").read_bytes()
        assert written == finished_run.outputs.potential.get_content(mode="rb")
        assert mlip_auto("export", str(identifier), f"{identifier}.asi").exit_code == 0
    wrong = mlip_auto("export", str(finished_run.inputs.config.pk), "p.yace")
    assert wrong.exit_code == 1 and "no .yace file" in wrong.output


def test_exports_for_other_programs(mlip_auto, finished_run: orm.WorkChainNode, tmp_path: Path) -> None:
    pk = str(finished_run.pk)
    done = mlip_auto("export", pk, "lammps", "--format", "lammps")
    assert done.exit_code == 0, done.output
    written = {path.name for path in (tmp_path / "lammps").iterdir()}
    assert {"potential.yace", "potential.asi", "in.pace", "in.extrapolation", "in.kokkos", "CITATION.txt"} <= written
    assert mlip_auto("export", pk, "text.txt", "--format", "citation").exit_code == 0
    assert "calculator 'emt'" in " ".join((tmp_path / "text.txt").read_text().split())
    for program in ("mace", "deepmd", "nequip", "pacemaker"):
        done = mlip_auto("export", pk, program, "--format", program)
        assert done.exit_code == 0 and f"structures for {program}" in done.output, done.output
    again = mlip_auto("export", pk, "mace", "--format", "mace")
    assert again.exit_code == 1 and "exists already" in again.output


def test_dataset_of_a_run_is_exported(mlip_auto, finished_run: orm.WorkChainNode, tmp_path: Path) -> None:
    assert mlip_auto("export", str(finished_run.pk), "run.extxyz").exit_code == 0
    again = mlip_auto("export", str(finished_run.pk), "run.extxyz")
    assert again.exit_code == 1 and "run.extxyz exists already and is not changed" in again.output
    assert len(read(tmp_path / "run.extxyz", ":")) == finished_run.outputs.curation_report["n_kept"]
    missing = mlip_auto("export", "no-such-thing", "x.extxyz")
    assert missing.exit_code == 1 and "is not a dataset" in missing.output


def test_touched_lists_the_potentials_that_depend_on_a_calculation(mlip_auto, finished_run: orm.WorkChainNode) -> None:
    job = next(node for node in finished_run.called_descendants if node.process_label == "AseLabelCalculation")
    touched = {potential.uuid for potential in dependent_potentials(job)}
    assert finished_run.outputs.potential.uuid in touched
    assert finished_run.outputs.potential.uuid in mlip_auto("touched", str(job.pk)).output
    assert not dependent_potentials(finished_run.outputs.metrics)
    assert finished_run.outputs.potential.pk in {potential.pk for potential in find_potentials()}


def test_provenance_and_report_of_a_run_and_its_potential(
    mlip_auto, finished_run: orm.WorkChainNode, small_config: PipelineConfig, tmp_path: Path
) -> None:
    run, potential = str(finished_run.pk), str(finished_run.outputs.potential.pk)
    behind = mlip_auto("provenance", potential)
    assert behind.exit_code == 0
    for name in ("generate_structures", "AseLabelCalculation", "curate_labels", "pace_train", "localhost"):
        assert name in behind.output
    generated = json.loads(mlip_auto("provenance", potential, "--json").stdout)["n_structures_generated"]
    assert generated == small_config.generator.count
    for identifier in (run, potential):
        written = mlip_auto("report", identifier, "--output", f"pages/{identifier}.html")
        assert written.exit_code == 0, written.output
        assert (tmp_path / "pages" / f"{identifier}.html").read_text().startswith("<!DOCTYPE html>")
    shown = mlip_auto("status", run).output
    verdict = summary(collect(finished_run))[0]
    assert verdict in shown and f"mlip-auto report {run}" in shown
    watched = mlip_auto("watch", run, "--output", "results").output
    assert verdict in watched and f"See {Path('results') / 'report.html'}" in watched
    assert "Ctrl-C" not in watched and "(replaced)" not in watched
    assert "results/potential.yace (replaced)" in mlip_auto("watch", run, "--output", "results").output
    refused = mlip_auto("report", "1")
    assert refused.exit_code == 1 and isinstance(refused.exception, SystemExit)


def test_provenance_graph_is_an_svg_file(mlip_auto, finished_run: orm.WorkChainNode, tmp_path: Path) -> None:
    done = mlip_auto("provenance", str(finished_run.pk), "--graph", "graph.svg")
    assert done.exit_code == 0, done.output
    assert "<svg" in (tmp_path / "graph.svg").read_text()


def test_initial_dataset_joins_generated_structures_and_compare_shows_differences(
    mlip_auto, finished_run: orm.WorkChainNode, data: Path, small_config: PipelineConfig
) -> None:
    assert mlip_auto("import", str(data), "--label", "more").exit_code == 0
    training = small_config.training.model_copy(update={"n_functions": 10})
    config = small_config.model_copy(update={"initial_dataset": ["more"], "training": training})
    _, node = run_get_node(build_one_shot(config))
    assert node.is_finished_ok, node.exit_message
    assert node.outputs.curation_report["n_input"] == small_config.generator.count + 6
    sources = {atoms.info["source_uuid"] for atoms in frames_with_source(node.inputs.initial_dataset)}
    assert sources <= {trajectory.uuid for trajectory in load_dataset("more").values()}
    with pytest.raises(UserError, match="is not a dataset"):
        build_one_shot(config.model_copy(update={"initial_dataset": ["nothing"]}))
    with pytest.raises(UserError, match="not among the elements"):
        build_one_shot(PipelineConfig(elements=["Al"], initial_dataset=["more"]))

    assert differences(finished_run.outputs.potential, finished_run.outputs.potential) == {}
    found = differences(finished_run.outputs.potential, node.outputs.potential)
    assert found["metrics.n_functions"] == (15, 10)
    assert found["settings.write_training_files.n_functions"] == (15, 10)
    assert "metrics.cutoff_A" not in found

    origin = trace(node.outputs.potential)
    assert origin.n_structures_generated == small_config.generator.count
    assert origin.sources.run is not None and origin.sources.run.pk == node.pk
    assert origin.sources.datasets == (DatasetSource("more", 6, "copper.extxyz"),)
    assert finished_run.pk in {run.pk for run in origin.sources.earlier} and origin.sources.reused
    shown = mlip_auto("provenance", str(node.pk)).output
    assert f"made by run {node.pk} (" in shown and f"labels reused from earlier runs: {origin.sources.reused}" in shown
    assert "dataset 'more': 6 structures (copper.extxyz)" in shown
    touched = mlip_auto("touched", str(finished_run.pk)).output
    assert finished_run.outputs.potential.uuid in touched and node.outputs.potential.uuid in touched


def test_import_prints_repairs_and_warns_of_implausible_labels(
    mlip_auto, generated: list[Atoms], tmp_path: Path
) -> None:
    generated[3].set_cell(-generated[3].cell.array)
    frames = [label_by_emt(atoms) for atoms in generated]
    for index, atoms in enumerate(frames):
        atoms.calc.results["stress"] *= -1602.18
        atoms.info["split"] = "val" if index % 5 == 4 else "train"
    write(tmp_path / "vasp.extxyz", frames)
    done = mlip_auto("import", "vasp.extxyz", "--label", "vasp")
    assert done.exit_code == 0, done.output
    assert "vasp.extxyz: 1 of 20 structures: left-handed cells" in done.output and "(frame 3)" in done.output
    assert "4 of 20 structures: split=val, taken as test (frames 4, 9, 14, 19)" in done.output
    assert "Warning: energies and stresses contradict" in done.output and "kbar with the opposite sign" in done.output
    config = PipelineConfig(elements=["Cu"], oracle={"type": "ase", "calculator": "emt"}, initial_dataset=["vasp"])
    told: list[str] = []
    build_one_shot(config, warn=told.append)
    assert len(told) == 1 and told[0].startswith("initial_dataset: 'vasp': energies and stresses contradict")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("\nCu ", "\nD ", "frame 0: D (deuterium) is not a chemical element: write H"),
        ("\nCu ", "\nCu1 ", "frame 0: 'Cu1' is not a chemical element: write Cu"),
        ("\nCu ", "\nX ", "6 of 6 structures cannot be used: frame 0"),
        ('pbc="T T T"', 'pbc="T T T" split=holdout', "split is 'holdout'; allowed: train"),
        ("energy=", "enthalpy=", "no energy"),
    ],
)
def test_import_error_names_file_and_frame(mlip_auto, data: Path, old: str, new: str, words: str) -> None:
    data.write_text(data.read_text().replace(old, new))
    done = mlip_auto("import", str(data), "--label", "refused")
    assert done.exit_code == 1 and "copper.extxyz" in done.output and words in done.output, done.output
    assert not orm.QueryBuilder().append(DatasetGroup, filters={"label": "refused"}).count()


def test_initial_dataset_with_unusable_structures_is_refused(
    generated: list[Atoms], small_config: PipelineConfig
) -> None:
    flat = [label_by_emt(atoms) for atoms in generated[:6]]
    labels = flat[2].calc.results
    flat[2].cell[2] = 0.0
    attach_labels(flat[2], labels)
    store_dataset(flat, "flat")
    with pytest.raises(UserError, match=r"initial_dataset: 'flat': 1 of 6 .*frame 2 .*periodic along c"):
        build_one_shot(small_config.model_copy(update={"initial_dataset": ["flat"]}))
