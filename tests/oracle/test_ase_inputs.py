"""Input of an ASE calculator by kind of structure."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111

from aiida_mlip_autopipec.config.schemas.oracle import AseOracleConfig
from aiida_mlip_autopipec.oracle.ase_inputs import (
    calculation_kind,
    computed_structure,
    job_method,
    structure_parameters,
)

STRUCTURES = {
    "bulk": bulk("Fe", a=2.87),
    "slab": fcc111("Al", (1, 1, 3), vacuum=6.0),
    "cluster": Atoms("Fe2", positions=[[0, 0, 0], [0, 0, 2.0]]),
    "atom": Atoms("Fe"),
}


@pytest.mark.parametrize("kind", STRUCTURES)
def test_the_kind_of_a_structure(kind: str) -> None:
    assert calculation_kind(STRUCTURES[kind]) == kind


def test_each_kind_gets_its_keywords_and_its_mesh() -> None:
    method = AseOracleConfig(
        calculator="vasp",
        parameters={"encut": 400},
        parameters_by_kind={"atom": {"ispin": 2, "kpts": [1, 1, 1]}, "slab": {"idipol": 3}},
        kpoints_distance=0.2,
        vacuum=5.0,
    ).method()
    job = job_method(list(STRUCTURES.values()), method)
    given = [job["variants"][number] for number in job["kinds"]]
    assert job["parameters"] == {"encut": 400}
    assert given[0]["kpts"][0] > 1 and "ispin" not in given[0]
    assert given[1]["idipol"] == 3 and given[1]["kpts"][2] == 1 and given[1]["kpts"][0] > 1
    assert given[2] == {"kpts": [1, 1, 1]}
    assert given[3] == {"ispin": 2, "kpts": [1, 1, 1]}


def test_isolated_structure_gets_vacuum_and_magnetic_moments() -> None:
    method = AseOracleConfig(calculator="vasp", vacuum=5.0, magnetic_moments={"Fe": 4.0}).method()
    computed = computed_structure(STRUCTURES["cluster"], method)
    assert computed.pbc.all() and np.allclose(computed.cell.lengths(), (10.0, 10.0, 12.0))
    assert computed.get_initial_magnetic_moments().tolist() == [4.0, 4.0]
    assert not computed_structure(STRUCTURES["slab"], method).get_initial_magnetic_moments().any()


def test_settings_without_effect_on_energies_do_not_change_the_identity() -> None:
    assert AseOracleConfig(processes=4, threads=2, command="vasp_std").method() == {
        "type": "ase",
        "calculator": "emt",
        "parameters": {},
    }
    assert job_method(list(STRUCTURES.values()), AseOracleConfig().method()) == {"calculator": "emt", "parameters": {}}


def test_a_periodic_slab_has_one_k_point_along_its_vacuum() -> None:
    slab = fcc111("Al", (1, 1, 3), vacuum=4.5, periodic=True)
    slab.pbc = True
    method = {"kpoints_distance": 0.2, "parameters_by_kind": {"slab": {"dipole": True}}}
    parameters = structure_parameters(slab, method)
    assert calculation_kind(slab) == "slab" and parameters["dipole"] is True
    assert parameters["kpts"][2] == 1 and min(parameters["kpts"][:2]) > 5
    assert structure_parameters(bulk("Al"), method)["kpts"][2] > 5
