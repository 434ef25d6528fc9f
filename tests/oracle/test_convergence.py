"""Convergence studies: errors against the finest settings, and the cheapest setting that reaches a target."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from pydantic import ValidationError

from aiida_mlip_autopipec.config.edit import with_values
from aiida_mlip_autopipec.config.errors import UserError
from aiida_mlip_autopipec.config.oracles import find_oracle
from aiida_mlip_autopipec.config.recipes import find_recipe
from aiida_mlip_autopipec.config.schemas.convergence import ConvergenceConfig
from aiida_mlip_autopipec.config.schemas.oracle import AseOracleConfig, QuantumEspressoOracleConfig
from aiida_mlip_autopipec.oracle.complete import complete
from aiida_mlip_autopipec.oracle.convergence import (
    CutoffAndKpoints,
    cheapest,
    default_structures,
    errors_of_series,
    series_to_compute,
    table_rows,
)
from aiida_mlip_autopipec.report.convergence import convergence_plot

CUTOFFS, DISTANCES = [10.0, 20.0, 30.0, 40.0], [0.6, 0.4, 0.2]


def label(energy: float, force: float) -> dict[str, Any]:
    forces = np.array([[force, 0.0, 0.0], [-force, 0.0, 0.0]])
    return {"energy": energy, "forces": forces, "stress": np.full(6, energy / 100)}


def study() -> Any:
    """Two structures of two atoms whose energies have errors of 8, 4, 2, 0 and 1, 0.25, 0 meV, and forces of half of that."""
    cutoffs, distances = series_to_compute(CUTOFFS, DISTANCES)
    labels: dict[CutoffAndKpoints, list[dict[str, Any]]] = {}
    for setting in {*cutoffs, *distances}:
        error = {10.0: 0.008, 20.0: 0.004, 30.0: 0.002, 40.0: 0.0}[setting.cutoff]
        error += {0.6: 0.001, 0.4: 0.00025, 0.2: 0.0}[setting.distance]
        labels[setting] = [label(-5.0 + 2 * error, 0.1 + error / 2), label(-6.0 - error, 0.2)]
    seconds = {setting: setting.cutoff / setting.distance for setting in labels}
    return errors_of_series(cutoffs, distances, labels, seconds)


def test_errors_are_the_largest_of_all_structures_against_the_finest_settings() -> None:
    measured = study()
    errors = [one.energy for one in measured.cutoffs.values()]
    assert errors == pytest.approx([8.0, 4.0, 2.0, 0.0])
    assert [one.force for one in measured.cutoffs.values()] == pytest.approx([4.0, 2.0, 1.0, 0.0])
    assert [one.energy for one in measured.distances.values()] == pytest.approx([1.0, 0.25, 0.0])
    assert next(iter(measured.cutoffs.values())).stress == pytest.approx(0.16)
    table = table_rows(measured)
    assert table[0] == ["10", "0.6", "8.00", "4.00", "0.16", "16.67"]
    assert [row[2] for row in table].count("reference") == 2


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ({"energy": 5.5}, CutoffAndKpoints(20.0, 0.6)),
        ({"energy": 4.5}, CutoffAndKpoints(20.0, 0.4)),
        ({"energy": 100.0, "force": 1.7}, CutoffAndKpoints(30.0, 0.6)),
        ({"energy": 100.0, "stress": 0.05}, CutoffAndKpoints(30.0, 0.4)),
        ({"energy": 100.0}, CutoffAndKpoints(10.0, 0.6)),
        ({"energy": 2.0}, None),
    ],
)
def test_the_cheapest_setting_reaches_the_target(target: dict[str, float], expected: CutoffAndKpoints | None) -> None:
    found = cheapest(study(), ConvergenceConfig(**target))
    assert (None if found is None else found[0]) == expected
    if found is not None:
        assert found[1].reach(ConvergenceConfig(**target))


def test_values_are_sorted_from_coarse_to_fine() -> None:
    config = ConvergenceConfig(cutoffs=[30.0, 10.0, 20.0], distances=[0.2, 0.4, 0.3])
    assert (config.cutoffs, config.distances) == ([10.0, 20.0, 30.0], [0.4, 0.3, 0.2])
    with pytest.raises(ValidationError, match="at least 3 items"):
        ConvergenceConfig(cutoffs=[10.0, 20.0])


def test_default_structures_have_forces_and_different_volumes() -> None:
    structures = default_structures(["Cu", "Si"])
    assert [len(atoms) for atoms in structures] == [2, 2, 2, 2]
    assert structures[0].get_volume() < structures[1].get_volume()
    with pytest.raises(UserError, match="no simple crystal of N: give structures by --structures FILE"):
        default_structures(["N"])


def test_cutoffs_are_settings_that_the_oracle_accepts() -> None:
    for name in ("abinit", "cp2k", "gpaw", "vasp"):
        recipe = find_recipe(name)
        assert recipe is not None and recipe.cutoff is not None
        settings = recipe.cutoff.settings(recipe.cutoff.values[-1])
        config = AseOracleConfig(calculator=name, **settings)
        assert str(recipe.cutoff.values[-1]) in str(complete(config, ["Si"]).parameters)
    of_pw = find_oracle("quantumespresso").cutoff
    assert of_pw is not None
    family = QuantumEspressoOracleConfig(pseudo_family="SSSP", ecutwfc=30.0, ecutrho=240.0)
    assert of_pw(family).settings(50.0) == {"ecutwfc": 50.0, "ecutrho": 400.0}


def test_a_changed_file_keeps_its_comments() -> None:
    text = (
        "# mine\nelements: [Si] # one\noracle:\n  calculator: 'gpaw' # the code\n  parameters: {xc: LDA} # functional\n"
    )
    changed = with_values(
        text, {"oracle": {"kpoints_distance": 0.3, "parameters": {"mode": {"name": "pw", "ecut": 350}}}}
    )
    assert changed == (
        "# mine\nelements: [Si] # one\noracle:\n  calculator: 'gpaw' # the code\n"
        "  parameters: {xc: LDA, mode: {name: pw, ecut: 350}} # functional\n  kpoints_distance: 0.3\n"
    )


def test_the_plot_shows_each_quantity_with_its_target() -> None:
    points = [("10", 1.0, 8.0), ("20", 2.0, 4.0), ("30", 3.0, 0.0)]
    svg = convergence_plot({"energy (meV/atom)": {"ecutwfc": points}, "force (meV/Å)": {"ecutwfc": points}}, {})
    texts = [element.text for element in ElementTree.fromstring(svg).iter() if element.tag.endswith("text")]
    assert texts.count("cost of a label (s)") == 2 and "error of the force (meV/Å)" in texts
    # The reference has no error, and no place on a logarithmic axis.
    assert "20" in texts and "30" not in texts
