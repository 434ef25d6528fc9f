"""The commands around what is stored: in, out, and the questions a year later."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from aiida import orm
from aiida.manage.configuration import Profile
from ase import Atoms
from ase.io import read, write
from click.testing import CliRunner, Result

from aiida_mlip_autopipec.app import main
from aiida_mlip_autopipec.config.read import ConfigError
from aiida_mlip_autopipec.config.schemas.pipeline import PipelineConfig
from aiida_mlip_autopipec.dataset.library import DatasetGroup, find_datasets, load_dataset
from aiida_mlip_autopipec.dataset.trajectory import frames_with_source
from aiida_mlip_autopipec.provenance import differences, find_potentials, potentials_behind_which
from aiida_mlip_autopipec.workflows.builder import build_one_shot


@pytest.fixture
def mlip_auto(aiida_profile: Profile, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Run a command in this process, on the temporary profile, in the temporary folder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(main, [*arguments, "--profile", aiida_profile.name])

    return run


@pytest.fixture
def data(labelled_copper: list[Atoms], tmp_path: Path) -> Path:
    write(tmp_path / "copper.extxyz", labelled_copper)
    return tmp_path / "copper.extxyz"


def test_in_and_out_again(mlip_auto, data: Path, labelled_copper: list[Atoms], tmp_path: Path) -> None:
    done = mlip_auto("import", str(data), "--label", "mine")
    assert done.exit_code == 0, done.output
    (dataset,) = [found for found in find_datasets() if found.name == "mine"]
    assert (dataset.n_structures, dataset.elements) == (6, ("Cu",))
    assert "mine" in mlip_auto("list").output
    for name in ("out.extxyz", "out.db", "out.traj"):
        assert mlip_auto("export", "mine", name).exit_code == 0
        energies = sorted(atoms.get_potential_energy() for atoms in read(tmp_path / name, ":"))
        assert np.allclose(energies, sorted(atoms.get_potential_energy() for atoms in labelled_copper), atol=1e-7)
    again = mlip_auto("import", str(data), "--label", "mine")
    assert again.exit_code == 1 and "already" in again.output


def test_a_broken_file_leaves_nothing(mlip_auto, data: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.extxyz"
    broken.write_text(data.read_text()[:-40])
    before = orm.QueryBuilder().append(orm.Node).count()
    done = mlip_auto("import", str(data), str(broken), "--label", "half")
    assert done.exit_code == 1
    assert "broken.extxyz" in done.output and "frame" in done.output
    assert orm.QueryBuilder().append(orm.Node).count() == before
    assert not orm.QueryBuilder().append(DatasetGroup, filters={"label": "half"}).count()


def test_files_of_a_potential(mlip_auto, finished_run: orm.WorkChainNode, tmp_path: Path) -> None:
    for identifier in (finished_run.pk, finished_run.outputs.potential.pk):
        assert mlip_auto("export", str(identifier), "p.yace").exit_code == 0
        assert (tmp_path / "p.yace").read_bytes() == finished_run.outputs.potential.get_content(mode="rb")
        assert mlip_auto("export", str(identifier), "p.asi").exit_code == 0
    wrong = mlip_auto("export", str(finished_run.inputs.config.pk), "p.yace")
    assert wrong.exit_code == 1 and "no .yace file" in wrong.output


def test_the_dataset_of_a_run(mlip_auto, finished_run: orm.WorkChainNode, tmp_path: Path) -> None:
    assert mlip_auto("export", str(finished_run.pk), "run.extxyz").exit_code == 0
    assert len(read(tmp_path / "run.extxyz", ":")) == finished_run.outputs.curation_report["n_kept"]
    missing = mlip_auto("export", "no-such-thing", "x.extxyz")
    assert missing.exit_code == 1 and "names no dataset" in missing.output


def test_what_a_calculation_has_touched(mlip_auto, finished_run: orm.WorkChainNode) -> None:
    job = next(node for node in finished_run.called_descendants if node.process_label == "AseLabelCalculation")
    touched = {potential.uuid for potential in potentials_behind_which(job)}
    assert finished_run.outputs.potential.uuid in touched
    assert finished_run.outputs.potential.uuid in mlip_auto("touched", str(job.pk)).output
    assert not potentials_behind_which(finished_run.outputs.metrics)
    assert finished_run.outputs.potential.pk in {potential.pk for potential in find_potentials()}


def test_what_differs_between_two_potentials(finished_run: orm.WorkChainNode, small_config: PipelineConfig) -> None:
    from aiida.engine import run_get_node

    assert differences(finished_run.outputs.potential, finished_run.outputs.potential) == {}
    content = small_config.model_dump(mode="json")
    content["training"]["n_functions"] = 10
    _, other = run_get_node(build_one_shot(PipelineConfig.model_validate(content)))
    found = differences(finished_run.outputs.potential, other.outputs.potential)
    assert found["metrics.n_functions"] == (15, 10)
    assert found["settings.write_training_files.n_functions"] == (15, 10)
    assert "metrics.cutoff_A" not in found


def test_the_graph_is_a_picture_with_counts(mlip_auto, finished_run: orm.WorkChainNode, tmp_path: Path) -> None:
    done = mlip_auto("provenance", str(finished_run.pk), "--graph", "graph.svg")
    assert done.exit_code == 0, done.output
    assert "<svg" in (tmp_path / "graph.svg").read_text()


def test_a_stored_dataset_is_added_to_what_is_generated(mlip_auto, data: Path, small_config: PipelineConfig) -> None:
    from aiida.engine import run_get_node

    assert mlip_auto("import", str(data), "--label", "more").exit_code == 0
    config = small_config.model_copy(update={"initial_dataset": ["more"]})
    _, node = run_get_node(build_one_shot(config))
    assert node.is_finished_ok, node.exit_message
    assert node.outputs.curation_report["n_input"] == small_config.generator.count + 6
    sources = {atoms.info["source_uuid"] for atoms in frames_with_source(node.inputs.initial_dataset)}
    assert sources <= {trajectory.uuid for trajectory in load_dataset("more").values()}
    with pytest.raises(ConfigError, match="names no dataset"):
        build_one_shot(config.model_copy(update={"initial_dataset": ["nothing"]}))
    with pytest.raises(ConfigError, match="not among the elements"):
        build_one_shot(PipelineConfig(elements=["Al"], initial_dataset=["more"]))
