"""The calcfunction of the generator."""

from __future__ import annotations

from aiida.manage.configuration import Profile
from aiida.orm import Dict, Int, List

from aiida_mlip_autopipec.config.schemas.generator import GeneratorConfig
from aiida_mlip_autopipec.dataset.trajectory import all_frames
from aiida_mlip_autopipec.generator.calcfunctions import generate_structures
from aiida_mlip_autopipec.generator.structure import StructureGenerator


def test_structures_are_returned_in_one_trajectory_for_each_formula(aiida_profile: Profile) -> None:
    trajectories = generate_structures(List(["Cu"]), Int(20), Dict(GeneratorConfig().model_dump(mode="json")))
    assert {"Cu_000", "Cu2_000"} < set(trajectories)
    made = sorted(all_frames(trajectories), key=lambda atoms: (len(atoms), atoms.positions.tobytes()))
    expected = sorted(
        StructureGenerator().generate_initial_set("Cu", 20), key=lambda atoms: (len(atoms), atoms.positions.tobytes())
    )
    assert all(a == b and a.info["family"] == b.info["family"] for a, b in zip(made, expected, strict=True))


def test_exit_status_if_no_structures_can_be_generated(aiida_profile: Profile) -> None:
    settings = Dict(GeneratorConfig().model_dump(mode="json"))
    _, node = generate_structures.run_get_node(List(["Cu"]), Int(1), settings)
    assert node.exit_status == 310
    assert "at least 2" in node.exit_message
