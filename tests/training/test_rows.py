"""Rows of the design matrix against pyace's own evaluation of potentials."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from mlip_train.basis import Basis
from mlip_train.elimination import eliminate, falling_sizes
from mlip_train.harmonics import spherical_harmonics
from mlip_train.rows import RowBuilder
from pyace import BBasisConfiguration, PyACECalculator

from aiida_mlip_autopipec.training.pacemaker_input import EMBEDDINGS


def basis_of(elements: list[str], n_functions: int, *, embedding: bool = True) -> Basis:
    shapes = {"UNARY": ([6, 4, 3, 2, 2], [0, 4, 3, 2, 1]), "BINARY": ([6, 3, 2, 2, 1], [0, 3, 2, 1, 0])}
    bond = {"radbase": "SBessel", "radparameters": [5.25], "rcut": 5.0, "dcut": 0.01, "NameOfCutoffFunction": "cos"}
    return Basis(
        {
            "deltaSplineBins": 0.001,
            "elements": elements,
            "embeddings": {"ALL": EMBEDDINGS[embedding]},
            "bonds": {"ALL": bond},
            "functions": {
                "number_of_functions_per_element": n_functions,
                **{
                    kind: {"nradmax_by_orders": radial, "lmax_by_orders": angular}
                    for kind, (radial, angular) in list(shapes.items())[: len(elements)]
                },
            },
        }
    )


def small_crystal() -> Atoms:
    """A cell smaller than the cutoff: atoms have several images of others, and of themselves, as neighbours."""
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.2, seed=3)
    atoms.set_cell(atoms.cell @ (np.eye(3) + 0.03 * np.arange(9).reshape(3, 3)), scale_atoms=True)
    return atoms


def alloy() -> Atoms:
    atoms = bulk("Cu", cubic=True) * (2, 2, 1)
    atoms.symbols[[0, 3, 4, 9, 11]] = "Au"
    atoms.rattle(0.1, seed=4)
    return atoms


def on_the_axes() -> Atoms:
    """A cluster with neighbours along z, where the azimuth is not defined."""
    return Atoms("Cu4", [[0, 0, 0], [0, 0, 2.5], [2.4, 0, 0], [0, 2.6, 0]])


def with_isolated_atom() -> Atoms:
    atoms = molecule("H2O")
    atoms.symbols[:] = "Cu"
    return atoms + Atoms("Cu", [[50, 0, 0]])


def test_rows_of_atoms_add_up_to_that_of_the_energy() -> None:
    atoms = alloy()
    builder = RowBuilder(basis_of(["Au", "Cu"], 60))
    rows = builder.atom_rows(atoms)
    assert rows.shape == (len(atoms), builder.n_functions)
    assert np.allclose(rows.sum(axis=0), builder.energy_row(atoms), atol=1e-12)


@pytest.mark.parametrize("embedding", [True, False], ids=["embedding", "no embedding"])
@pytest.mark.parametrize(
    ("elements", "atoms"),
    [
        (["Cu"], small_crystal()),
        (["Cu"], on_the_axes()),
        (["Cu"], with_isolated_atom()),
        (["Au", "Cu"], alloy()),
        (["Au", "Cu"], small_crystal()),
    ],
    ids=["small cell", "on the axes", "an atom without neighbours", "alloy", "one element of two"],
)
def test_rows_times_coefficients_equal_the_predictions_of_the_potential(
    elements: list[str], atoms: Atoms, embedding: bool, tmp_path: Path
) -> None:
    basis = basis_of(elements, 150, embedding=embedding)
    generator = np.random.default_rng(5)
    # The elements have different numbers of functions, as after an elimination.
    chosen = np.sort(generator.choice(basis.n_functions, int(0.6 * basis.n_functions), replace=False))
    if embedding:
        # The embedding of the first element only.
        chosen = np.union1d(np.setdiff1d(chosen, basis.n_functions - 1), basis.n_functions - len(elements))
    coefficients = np.zeros(basis.n_functions)
    coefficients[chosen] = generator.normal(size=len(chosen))
    basis.reduced(chosen, coefficients[chosen]).save(str(tmp_path / "potential.yaml"))

    rows = RowBuilder(basis).rows(atoms, strain=True)

    atoms.calc = PyACECalculator(str(tmp_path / "potential.yaml"))
    scale = np.abs(rows.forces).max() * len(chosen)
    assert rows.energy @ coefficients == pytest.approx(atoms.get_potential_energy(), rel=1e-10)
    assert rows.forces @ coefficients == pytest.approx(atoms.get_forces().ravel(), abs=1e-11 * scale)
    assert RowBuilder(basis).energy_row(atoms) == pytest.approx(rows.energy, rel=1e-12, abs=1e-12)
    if atoms.pbc.all():
        stress = atoms.get_stress() * atoms.get_volume()
        assert rows.virial @ coefficients == pytest.approx(stress, abs=1e-8 * np.abs(stress).max())


def test_potential_without_embedding_has_one_density() -> None:
    basis = basis_of(["Au", "Cu"], 60)
    chosen = [index for index, key in enumerate(basis.functions) if key[1]]
    of_blocks = {block.ndensityi for block in basis.reduced(chosen, np.ones(len(chosen))).funcspecs_blocks}
    assert of_blocks == {1}


def test_coefficients_of_a_saved_potential_are_found_again(tmp_path: Path) -> None:
    basis = basis_of(["Au", "Cu"], 60)
    expected = np.random.default_rng(8).normal(size=basis.n_functions)
    basis.reduced(range(basis.n_functions), expected).save(str(tmp_path / "potential.yaml"))
    found = Basis({}, BBasisConfiguration(str(tmp_path / "potential.yaml")))
    assert dict(zip(found.functions, found.coefficients(), strict=True)) == pytest.approx(
        dict(zip(basis.functions, expected, strict=True))
    )


def test_spherical_harmonics_are_those_of_scipy_and_have_their_gradients() -> None:
    special = pytest.importorskip("scipy.special")
    vectors = np.random.default_rng(6).normal(size=(20, 3))
    x, y, z = vectors.T
    values, gradients = spherical_harmonics(vectors, 6)
    for l in range(7):
        for m in range(l + 1):
            expected = special.sph_harm_y(l, m, np.arccos(z / np.linalg.norm(vectors, axis=1)), np.arctan2(y, x))
            assert values[:, l * (l + 1) // 2 + m] == pytest.approx(expected * (4 * np.pi) ** 0.5, abs=1e-12)
    step = 1e-5
    for axis in range(3):
        moved = step * np.eye(3)[axis]
        change = spherical_harmonics(vectors + moved, 6)[0] - spherical_harmonics(vectors - moved, 6)[0]
        assert gradients[axis] == pytest.approx(change / (2 * step), abs=1e-6 * np.abs(gradients).max())


def test_elimination_finds_the_relevant_functions() -> None:
    generator = np.random.default_rng(7)
    matrix = generator.normal(size=(300, 40)) @ (np.eye(40) + 0.3 * generator.normal(size=(40, 40)))
    wanted = np.array([3, 8, 21, 34])
    target = matrix[:, wanted] @ [1.0, -2.0, 0.5, 3.0] + 1e-3 * generator.normal(size=300)
    columns = np.column_stack([matrix, target])

    left, coefficients = list(eliminate(columns.T @ columns, np.ones(40), [20, 4], 1e-10))[-1]

    assert left.tolist() == wanted.tolist()
    assert coefficients == pytest.approx([1.0, -2.0, 0.5, 3.0], abs=1e-3)


def test_sizes_of_the_elimination_fall_by_at_most_a_tenth() -> None:
    sizes = falling_sizes(100, 30)
    assert (sizes[0], sizes[-1]) == (100, 30)
    assert all(int(0.9 * above) <= below < above for above, below in pairwise(sizes))


def test_elimination_survives_rounding_errors_of_fewer_structures_than_functions() -> None:
    random = np.random.default_rng(3)
    values = random.normal(size=(60, 40)) @ random.normal(size=(40, 120))
    columns = np.column_stack([values, values @ random.normal(size=120)])
    # As for a hold-out fold: the difference of two sums.
    products = columns.T @ columns - columns[:50].T @ columns[:50]
    assert np.linalg.eigvalsh(products[:-1, :-1]).min() < 0
    left, coefficients = list(eliminate(products, np.ones(120), [50, 5], 1e-18))[-1]
    assert len(left) == 5 and np.isfinite(coefficients).all()
    with pytest.raises(np.linalg.LinAlgError, match="not finite"):
        list(eliminate(products * np.nan, np.ones(120), [5], 1e-18))
