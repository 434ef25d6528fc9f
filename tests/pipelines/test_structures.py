"""Runs that start from the user's structures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from aiida import orm
from aiida.engine import run_get_node
from aiida.manage.configuration import Profile
from ase.build import bulk, molecule
from ase.io import write

from aiida_mlip_autopipec.config.errors import UserError
from aiida_mlip_autopipec.config.read import parse_settings
from aiida_mlip_autopipec.config.schemas.pipeline import PipelineConfig
from aiida_mlip_autopipec.config.schemas.structures import StructureSource
from aiida_mlip_autopipec.dataset.trajectory import all_frames
from aiida_mlip_autopipec.pipelines.builders import build_one_shot
from aiida_mlip_autopipec.pipelines.structures import load_given, with_structures
from aiida_mlip_autopipec.provenance.queries import trace
from aiida_mlip_autopipec.report.collect import collect

GENERATOR = PipelineConfig(elements=["Cu"]).generator


def test_origin_of_structures_from_a_file_is_kept_in_all_stages(
    aiida_profile: Profile, small_config: PipelineConfig, tmp_path: Path
) -> None:
    write(tmp_path / "cu.cif", bulk("Cu", cubic=True))
    content = small_config.model_dump(mode="json")
    content.update(elements=[], structures=["cu.cif"])
    # Labels of other runs have the origins of those.
    content["oracle"]["reuse"] = False
    config = parse_settings(PipelineConfig, with_structures(content, [], tmp_path), "test")
    assert config.elements == ["Cu"]
    _, run = run_get_node(build_one_shot(config))
    assert run.is_finished_ok, run.exit_message
    origins = {atoms.info.get("origin") for atoms in all_frames(run.outputs.dataset)} - {None}
    assert origins == {f"Cu: {tmp_path / 'cu.cif'}, frame 0"}
    assert set(trace(run.outputs.potential).given) == origins
    assert "cu.cif" in collect(run).identity["started from"]


def test_nodes_and_groups_are_read(aiida_profile: Profile) -> None:
    node = orm.StructureData(ase=bulk("Al")).store()
    group = orm.Group(label="my phases").store()
    group.add_nodes(node)
    for identifier in (node.pk, node.uuid, "my phases"):
        config = PipelineConfig(elements=["Al"], structures=[{"node": identifier, "role": "phase"}])
        (atoms,) = load_given(config.structures, GENERATOR)
        assert node.uuid in atoms.info["origin"]
        assert atoms.info["role"] == "phase"


def test_trajectories_of_other_programs_are_read(aiida_profile: Profile) -> None:
    magnetic, molecules, unknown = orm.TrajectoryData(), orm.TrajectoryData(), orm.TrajectoryData()
    crystal = bulk("Fe", cubic=True)
    magnetic.set_trajectory(["Fe1", "Fe2"], crystal.positions[None], cells=crystal.cell.array[None])
    molecules.set_trajectory(["H", "H"], np.array([[[0, 0, 0], [0, 0, 0.74]]]))
    unknown.set_trajectory(["Qq1"], np.zeros((1, 1, 3)))
    sources = [StructureSource(node=node.store().uuid) for node in (magnetic, molecules)]
    iron, hydrogen = load_given(sources, GENERATOR)
    assert iron.get_chemical_formula() == "Fe2" and iron.pbc.all()
    assert hydrogen.get_chemical_formula() == "H2" and hydrogen.get_distance(0, 1) == pytest.approx(0.74)
    with pytest.raises(UserError, match=r"node .*: the kind of atom 'Qq1' is neither"):
        load_given([StructureSource(node=unknown.store().uuid)], GENERATOR)


@pytest.mark.parametrize(
    ("item", "message"),
    [({"node": "999999"}, "no node of this PK or UUID, and no group"), ({"file": "/none.cif"}, "no such file")],
)
def test_missing_files_and_nodes_are_refused(aiida_profile: Profile, item: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        load_given(PipelineConfig(elements=["Al"], structures=[item]).structures, GENERATOR)


def test_an_element_outside_the_run_is_refused(aiida_profile: Profile, tmp_path: Path) -> None:
    write(tmp_path / "al.cif", bulk("Al", cubic=True))
    config = PipelineConfig(elements=["Cu"], structures=[str(tmp_path / "al.cif")])
    with pytest.raises(UserError, match=r"al\.cif, frame 0: has Al, not among the elements"):
        build_one_shot(config)


def test_source_must_be_either_a_file_or_a_node() -> None:
    with pytest.raises(UserError, match="either 'file' or 'node'"):
        parse_settings(PipelineConfig, {"elements": ["Cu"], "structures": [{"name": "x"}]}, "test")


def test_a_phase_must_be_a_crystal(aiida_profile: Profile, tmp_path: Path) -> None:
    write(tmp_path / "water.xyz", molecule("H2O"))
    source = StructureSource(file=str(tmp_path / "water.xyz"), role="phase")
    with pytest.raises(UserError, match=r"water\.xyz, frame 0: is a molecule, but a phase must be a crystal"):
        load_given([source], GENERATOR)
