"""The command `mlip-auto properties`, and its results in the report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from aiida import orm
from ase import Atoms
from ase.build import bulk
from ase.io import write

DISORDERED = """data_mixed
_symmetry_space_group_name_H-M 'P 1'
_cell_length_a 3.6
_cell_length_b 3.6
_cell_length_c 3.6
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
Cu1 Cu 0 0 0 0.5
"""


@pytest.fixture
def mlip_auto(run_here):
    """Run a command in this process."""
    return run_here


def test_properties_of_a_run_are_printed_and_shown_in_the_report(
    mlip_auto, finished_run: orm.WorkChainNode, tmp_path: Path
) -> None:
    pk = str(finished_run.pk)
    done = mlip_auto("properties", pk, "lattice", "elastic", "--output", "results")
    assert done.exit_code == 0, done.output
    assert "Cu fcc: elastic" in done.output and "Stored as node" in done.output
    results = json.loads((tmp_path / "results" / "properties.json").read_text())
    lattice, elastic = results
    assert elastic["reason"] is None and elastic["values"][0]["unit"] == "GPa"
    assert (tmp_path / "results" / "Cu_fcc_equation_of_state.png").exists()
    a = next(value["value"] for value in lattice["values"] if value["name"] == "a")
    (tmp_path / "literature.yaml").write_text(f"Cu fcc: {{a: {a / 1.02}}}\n")
    assert mlip_auto("report", pk, "-o", "r.html", "--literature", "literature.yaml").exit_code == 0
    page = (tmp_path / "r.html").read_text()
    assert 'id="properties"' in page and "+2.0 %" in page and "data:image/png;base64" in page
    (tmp_path / "literature.yaml").write_text("Cu fcc: {a: large}\n")
    wrong = mlip_auto("report", pk, "-o", "r.html", "--literature", "literature.yaml")
    assert wrong.exit_code == 1 and "Cu fcc: a: must be a number" in wrong.output


def test_wrong_structures_and_property_names_give_a_message(
    mlip_auto, finished_run: orm.WorkChainNode, tmp_path: Path
) -> None:
    pk = str(finished_run.pk)
    write(tmp_path / "gold.extxyz", bulk("Au"))
    wrong = mlip_auto("properties", pk, "lattice", "--structures", "gold.extxyz")
    assert wrong.exit_code == 1 and "has Au, but the elements of the potential are Cu" in wrong.output
    assert "is unknown; allowed: lattice" in mlip_auto("properties", pk, "colour").output
    assert "there is no such file" in mlip_auto("properties", pk, "--structures", "none.cif").output
    (tmp_path / "mixed.cif").write_text(DISORDERED)
    mixed = mlip_auto("properties", pk, "lattice", "--structures", "mixed.cif")
    assert mixed.exit_code == 1 and "mixed.cif: frame 0, site Cu1: occupancy 0.5" in mixed.output
    write(tmp_path / "cluster.extxyz", Atoms("Cu2", positions=[[0, 0, 0], [0, 0, 2.5]]))
    done = mlip_auto("properties", pk, "lattice", "--structures", "cluster.extxyz")
    assert done.exit_code == 0 and "is a molecule, not a crystal" in done.output
    content = finished_run.outputs.potential.get_content(mode="rb")
    (tmp_path / "cut.yace").write_bytes(content[: len(content) // 2])
    cut = mlip_auto("properties", "cut.yace", "lattice")
    assert cut.exit_code == 1 and "cut.yace: cannot be loaded as a potential" in cut.output
    slab = bulk("Cu", cubic=True)
    slab.center(vacuum=8.0, axis=0)
    write(tmp_path / "slab.extxyz", slab)
    assert "is a slab, not a crystal" in mlip_auto("properties", pk, "lattice", "--structures", "slab.extxyz").output
    write(tmp_path / "overlap.extxyz", Atoms("Cu2", positions=[[0, 0, 0], [0, 0, 0.01]], cell=[3.6] * 3, pbc=True))
    overlap = mlip_auto("properties", pk, "lattice", "--structures", "overlap.extxyz")
    assert overlap.exit_code == 1 and "overlap.extxyz, frame 0: Cu (atom 0) and Cu (atom 1) overlap" in overlap.output
