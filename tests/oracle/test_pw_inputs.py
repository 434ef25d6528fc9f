"""Inputs of pw.x for a structure."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111, molecule

from aiida_mlip_autopipec.config.schemas.oracle import QuantumEspressoOracleConfig
from aiida_mlip_autopipec.dataset.dimension import in_periodic_cell
from aiida_mlip_autopipec.oracle.pw_inputs import has_spin, kpoint_mesh, pw_parameters


def config(**changes: object) -> QuantumEspressoOracleConfig:
    return QuantumEspressoOracleConfig(**{"pseudopotentials": {"Si": Path("Si.upf")}, "ecutwfc": 20.0, **changes})


def test_clusters_get_vacuum_and_crystals_keep_their_cell() -> None:
    dimer = Atoms("Si2", positions=[[0, 0, 0], [0, 0, 2.3]])
    boxed = in_periodic_cell(dimer, 5.0)
    assert boxed.pbc.all()
    assert np.allclose(boxed.cell.lengths(), [10.0, 10.0, 12.3])
    assert boxed.get_distance(0, 1) == pytest.approx(2.3)
    slab = fcc111("Al", (1, 1, 3), vacuum=None, periodic=True)
    slab.pbc = [True, True, False]
    assert in_periodic_cell(slab, 6.0).cell.lengths()[2] == pytest.approx(np.ptp(slab.positions[:, 2]) + 12.0)
    crystal = bulk("Si")
    assert np.array_equal(in_periodic_cell(crystal, 5.0).cell.array, crystal.cell.array)


def test_mesh_follows_the_distance_and_has_one_point_without_periodicity() -> None:
    crystal = bulk("Si", cubic=True)
    mesh = kpoint_mesh(crystal, 0.2)
    spacing = 2 * np.pi / crystal.cell.lengths() / np.array(mesh)
    assert (spacing <= 0.2 + 1e-9).all() and (spacing > 0.1).all()
    assert kpoint_mesh(crystal * (2, 1, 1), 0.2)[0] == -(-mesh[0] // 2)
    assert kpoint_mesh(Atoms("Si"), 0.1) == (1, 1, 1)
    crystal.pbc = [True, True, False]
    assert kpoint_mesh(crystal, 0.2)[2] == 1


def test_a_slab_has_one_k_point_along_its_vacuum_and_a_molecule_in_a_periodic_box_only_gamma() -> None:
    slab = fcc111("Al", (1, 1, 4), vacuum=4.5, periodic=True)
    slab.pbc = True
    mesh = kpoint_mesh(slab, 0.15)
    assert mesh[2] == 1 and min(mesh[:2]) > 10
    tilted = slab.copy()
    tilted.set_cell(slab.cell.array + np.outer([0, 0, 1], [3.0, 1.0, 0]))
    assert kpoint_mesh(tilted, 0.15)[2] == 1
    boxed = molecule("O2")
    boxed.center(vacuum=6.0)
    boxed.pbc = True
    assert kpoint_mesh(boxed, 0.15) == (1, 1, 1)
    assert has_spin(boxed, config())
    # Crystals of large atoms have wide gaps, but are no slabs.
    assert min(kpoint_mesh(bulk("Cs", "sc", a=6.0), 0.15)) > 1
    assert kpoint_mesh(bulk("C", "hcp", a=2.46, c=6.7), 0.15)[2] > 1


@pytest.mark.parametrize(
    ("atoms", "spin", "expected"),
    [
        (Atoms("Si"), "auto", True),
        (bulk("Si"), "auto", False),
        (bulk("Fe"), "auto", True),
        (Atoms("Si"), "none", False),
        (bulk("Si"), "all", True),
    ],
)
def test_spin_for_open_shells_and_magnetic_elements(atoms: Atoms, spin: str, expected: bool) -> None:
    assert has_spin(atoms, config(spin=spin)) is expected
    system = pw_parameters(atoms, config(spin=spin))["SYSTEM"]
    assert ("nspin" in system) is expected
    assert ("starting_magnetization" in system) is expected


def test_user_settings_are_in_the_input_of_pw() -> None:
    settings = config(
        degauss=0.01,
        smearing="gaussian",
        spin="all",
        starting_magnetization={"Si": 0.3},
        overrides={"electrons": {"mixing_beta": 0.2}, "SYSTEM": {"nosym": True}},
    )
    parameters = pw_parameters(bulk("Si"), settings)
    assert parameters["SYSTEM"]["ecutrho"] == 80.0
    assert parameters["SYSTEM"]["smearing"] == "gaussian" and parameters["SYSTEM"]["degauss"] == 0.01
    assert parameters["SYSTEM"]["nosym"] is True
    assert parameters["SYSTEM"]["starting_magnetization"] == {"Si": 0.3}
    assert parameters["ELECTRONS"]["mixing_beta"] == 0.2
    assert parameters["CONTROL"]["tstress"] and parameters["CONTROL"]["disk_io"] == "low"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pseudopotentials": {}}, "either pseudo_family"),
        ({"pseudo_family": "SSSP"}, "either pseudo_family"),
        ({"ecutwfc": None}, "set ecutwfc"),
        ({"overrides": {"IONS": {}}}, "unknown namelist IONS"),
        ({"overrides": {"SYSTEM": {"ecutwfc": 3}}}, "cannot be overridden"),
    ],
)
def test_contradictory_settings_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        config(**changes)
