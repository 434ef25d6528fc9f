"""All properties of structures, those of the user, tables and plots."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from aiida.manage.configuration import Profile
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT

from aiida_mlip_autopipec.config.errors import UserError
from aiida_mlip_autopipec.config.schemas.properties import PropertiesConfig
from aiida_mlip_autopipec.properties.compute import compute_properties
from aiida_mlip_autopipec.properties.plots import write_plots
from aiida_mlip_autopipec.properties.registry import chosen_properties
from aiida_mlip_autopipec.properties.table import table

OWN = '''
"""Mass density."""

from aiida_mlip_autopipec.config.schemas.base import StrictSettings
from aiida_mlip_autopipec.properties.model import Line, Panel, Plot, Property, Result, Value


class DensitySettings(StrictSettings):
    factor: float = 1.66053906660


class Density(Property):
    name = "density"
    Settings = DensitySettings

    def measure(self, name, structures, calculator):
        atoms = structures[name]
        density = self.settings.factor * atoms.get_masses().sum() / atoms.get_volume()
        plot = Plot("a line", [Panel("x", "y", [Line([0, 1], [0, density])])])
        return Result(self.name, name, [Value("density", density, "g/cm^3", error=0.01)], [plot])
'''


@pytest.fixture
def own(tmp_path: Path) -> str:
    (tmp_path / "density.py").write_text(OWN)
    return str(tmp_path / "density.py")


def test_property_from_a_file_of_the_user(own: str, tmp_path: Path) -> None:
    config = PropertiesConfig(properties=["density"], own=[own])
    structures = {"Cu": bulk("Cu"), "molecule": Atoms("Cu2", positions=[[0, 0, 0], [0, 0, 2.5]])}
    lines: list[str] = []
    results = compute_properties(structures, config, EMT(), lines.append)
    failed, density = results
    assert (failed["property"], failed["structure"]) == ("relaxation", "molecule") and "not a crystal" in failed[
        "reason"
    ]
    assert density["values"][0]["value"] == pytest.approx(9.1, abs=0.2)
    assert "density  9." in table(results) and "± 0.01 g/cm^3" in table(results)
    assert json.loads(json.dumps(results)) == results
    elsewhere = tmp_path / "elsewhere.png"
    elsewhere.write_text("untouched")
    (tmp_path / "Cu_a_line.png").symlink_to(elsewhere)
    (plot,) = write_plots(results, tmp_path)
    assert elsewhere.read_text() == "untouched" and not plot.is_symlink()
    assert plot.name == "Cu_a_line.png" and plot.stat().st_size > 1000
    assert lines[-1].startswith("density: ")


@pytest.mark.parametrize(
    ("base", "content", "setting", "value"),
    [
        ("Property", {"settings": {"lattice": {"factor": 2.0}}}, "factor", 2.0),
        ("Lattice", {"lattice": {"max_strain": 0.1}}, "max_strain", 0.1),
    ],
)
def test_own_property_with_the_name_of_a_built_in_one_has_its_own_settings(
    tmp_path: Path, base: str, content: dict, setting: str, value: float
) -> None:
    text = OWN.replace('"density"', '"lattice"').replace("(Property)", f"({base})")
    if base == "Lattice":
        text = text.replace("    Settings = DensitySettings\n", "")
        text = f"from aiida_mlip_autopipec.properties.lattice import Lattice\n{text}"
    path = tmp_path / "own.py"
    path.write_text(text)
    (found,) = chosen_properties(PropertiesConfig(properties=["lattice"], own=[str(path)], **content))
    assert type(found).__name__ == "Density" and getattr(found.settings, setting) == value


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"properties": ["elasticity"]}, "'elasticity' is unknown; allowed: lattice, elastic"),
        ({"own": ["no.py"]}, "no.py cannot be run: FileNotFoundError"),
        ({"own": [__file__]}, "defines no subclass"),
        (
            {"properties": ["density"], "settings": {"density": {"faktor": 1}}},
            "faktor: unknown key; did you mean 'factor'",
        ),
    ],
)
def test_error_names_wrong_settings(content: dict, message: str, own: str) -> None:
    config = PropertiesConfig(**{"own": [own], **content})
    with pytest.raises(UserError, match=message.replace("(", r"\(")):
        chosen_properties(config)


def test_results_have_provenance(
    own: str, aiida_profile: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from aiida.orm import SinglefileData

    from aiida_mlip_autopipec.properties import calcfunctions

    monkeypatch.setattr(calcfunctions, "load_calculator", lambda path, title: EMT())
    (tmp_path / "potential.yace").write_text("elements: [Cu]\n")
    potential = SinglefileData(tmp_path / "potential.yace").store()
    config = PropertiesConfig(properties=["density"], own=[own])
    results, node = calcfunctions.run_properties(potential, config, {"copper": bulk("Cu")})
    assert results[0]["structure"] == "copper" and node.is_stored
    inputs = node.creator.inputs
    assert inputs.potential.uuid == potential.uuid and inputs.own_0.get_content().strip() == OWN.strip()
