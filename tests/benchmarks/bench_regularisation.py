"""Errors of many regularisations and weightings of one design matrix: in cross-validation, on kinds not in the fit, on tests.

    PYTHONPATH=aiida_mlip_autopipec/jobs python -m tests.benchmarks.bench_regularisation DATA --element Si --cutoff 6.2
        [--functions 1100]

DATA is a folder as for `bench_mlearn`. The design matrix is computed once; each line of the table then costs seconds. A kind is
a group of the data with its description, without the number of the snapshot. Choose by the errors in cross-validation (CV) and
on kinds not in the fit; the test errors only confirm a choice.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import ase.io
import numpy as np
import yaml
from ase.io.trajectory import Trajectory
from mlip_train.basis import Basis, Radial, basis_settings
from mlip_train.data import Frame, ReferenceEnergies, assign_folds, read_frames, reference_energies, shortest_distances
from mlip_train.design import frame_weights
from mlip_train.rows import RowBuilder
from mlip_train.settings import FitSettings
from scipy.linalg import cho_factor, cho_solve

from aiida_mlip_autopipec.config.schemas.training import TrainingConfig
from aiida_mlip_autopipec.training.pacemaker_input import input_yaml

from .bench_mlearn import read_data

RIDGES = tuple(10.0**exponent for exponent in range(-13, -8))
"""Ridge strengths, relative to the norm of the normal matrix."""

FOLDS, VIRIAL_WEIGHT = 5, 0.03


@dataclass(frozen=True)
class Cell:
    """Normal matrices [X | y]^T [X | y] of the structures of one kind in one fold.

    :ivar kind: number of the kind; `fold`: number of the fold.
    :ivar energies: unweighted rows [X | y] divided by the number of atoms (n, m + 1), eV/atom.
    """

    kind: int
    fold: int
    energy: np.ndarray
    forces: np.ndarray
    virial: np.ndarray
    energies: np.ndarray
    n_forces: int


def kinds_in(path: Path) -> dict[float, str]:
    """Return the kind of each structure of a file, by its energy."""
    found = {}
    for atoms in ase.io.iread(path):
        description = re.sub(r"Snapshot \d+ of \d+ of ", "", str(atoms.info.get("description", "")))
        snapshot = description != atoms.info.get("description", "")
        group = str(atoms.info.get("group", "unknown"))
        found[round(atoms.get_potential_energy(), 6)] = f"{group} {description}" if snapshot else group
    return found


def cell_of(builder: RowBuilder, frames: Sequence[Frame], reference: ReferenceEnergies, kind: int, fold: int) -> Cell:
    """Return the normal matrices of some structures, with the weights of the fit."""
    size = builder.n_functions + 1
    energy, forces, virial = np.zeros((3, size, size))
    energies, n_forces = [], 0
    for frame in frames:
        of_energy, of_forces = frame_weights(frame)
        rows = builder.rows(frame.atoms, strain=frame.virial is not None)
        row = np.append(rows.energy, frame.energy - reference.of(frame.atoms))
        energies.append(row / len(frame.atoms))
        energy += of_energy**2 * np.outer(row, row)
        with_labels = of_forces * np.column_stack([rows.forces, frame.forces.ravel()])
        forces += with_labels.T @ with_labels
        n_forces += 3 * len(frame.atoms)
        if frame.virial is not None:
            strained = of_energy * np.column_stack([rows.virial, frame.virial])
            virial += strained.T @ strained
    return Cell(kind, fold, energy, forces, virial, np.array(energies), n_forces)


def solutions(
    cells: Sequence[Cell], penalty: np.ndarray, weight: float, scaling: float, weights: np.ndarray
) -> np.ndarray:
    """Return the coefficients followed by -1 of a fit to some cells, for each ridge (r, m + 1).

    :param scaling: power of the length of a column by which it is divided.
    :param weights: weight of each kind.
    """
    normal = np.zeros_like(cells[0].forces)
    for cell in cells:
        normal += weights[cell.kind] ** 2 * (weight**2 * (cell.energy + VIRIAL_WEIGHT**2 * cell.virial) + cell.forces)
    lengths = np.sqrt(np.diag(normal)[:-1])
    known = lengths > 1e-11 * lengths.max()
    scale = np.where(known, 1.0 / (np.where(known, lengths, 1.0) ** scaling * penalty), 0.0)
    matrix, target = normal[:-1, :-1] * np.outer(scale, scale), scale * normal[:-1, -1]
    found = []
    for ridge in RIDGES:
        regularised = matrix + ridge * np.linalg.norm(matrix) * np.eye(len(matrix))
        found.append(np.append(scale * cho_solve(cho_factor(regularised, lower=True), target), -1.0))
    return np.array(found)


def errors(cells: Sequence[Cell], found: np.ndarray) -> np.ndarray:
    """Return the MAE of energies (meV/atom) and the RMSE of forces (eV/Å) of some cells, for each ridge (r, 2)."""
    energies = 1000.0 * np.abs(np.concatenate([cell.energies for cell in cells]) @ found.T).mean(axis=0)
    squares = np.sum([np.einsum("ri,ri->r", found @ cell.forces, found) for cell in cells], axis=0)
    return np.stack([energies, np.sqrt(squares / sum(cell.n_forces for cell in cells))], axis=1)


def mean_hold_out(
    cells: Sequence[Cell], number_of: Callable[[Cell], int], fit: Callable[[Sequence[Cell]], np.ndarray]
) -> np.ndarray:
    """Return the mean errors over the parts of the cells, each left out in turn (r, 2)."""
    found = []
    for part in sorted({number_of(cell) for cell in cells}):
        rest = fit([cell for cell in cells if number_of(cell) != part])
        found.append(errors([cell for cell in cells if number_of(cell) == part], rest))
    return np.asarray(np.mean(found, axis=0))


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--element", default="Si")
    parser.add_argument("--cutoff", type=float, default=6.2, help="Å")
    parser.add_argument("--functions", type=int, default=1100)
    arguments = parser.parse_args()
    element = arguments.element
    with_labels = read_data(arguments.data, element, 1)
    frames = frames_of(with_labels, element)
    training = [frame for frame in frames if frame.split == "train"]
    settings = FitSettings(potential=yaml.safe_load(input_yaml(TrainingConfig(), [element]))["potential"])
    reference = reference_energies(settings, frames)
    radial = Radial(arguments.cutoff, "SBessel", (5.25,))
    basis = Basis(basis_settings(settings, shortest_distances(training, radial.cutoff), radial, arguments.functions))
    builder = RowBuilder(basis)
    kind_of = kinds_in(arguments.data / f"mlearn_{element}_train.xyz")
    names = [kind_of.get(round(frame.energy, 6), frame.family) for frame in training]
    kinds, folds = sorted(set(names)), assign_folds(training)
    cells = []
    for number, kind in enumerate(kinds):
        for fold in range(FOLDS):
            members = [f for f, name, of in zip(training, names, folds, strict=True) if (name, of) == (kind, fold)]
            if members:
                cells.append(cell_of(builder, members, reference, number, fold))
    seen = {frame.group for frame in training}
    unseen = [frame for frame in frames if frame.split == "test" and frame.group not in seen]
    tested = [cell_of(builder, unseen, reference, 0, 0)]
    orders, radials, angulars = np.array(
        [(len(key[1]), sum(key[2]), sum(key[3])) for key in basis.functions], dtype=float
    ).T
    complexity = orders + radials + angulars
    complexity /= complexity.min()
    force_of = np.array(
        [
            np.sqrt(sum(c.forces[-1, -1] for c in cells if c.kind == k) / sum(c.n_forces for c in cells if c.kind == k))
            for k in range(len(kinds))
        ]
    )
    usual = np.ones(len(kinds))
    quiet = force_of**-0.5 / np.exp(np.log(force_of**-0.5).mean())
    print(f"{element}: {len(cells)} parts (kind and fold), kinds {kinds}, {basis.n_functions} functions")
    print(
        "penalty, energy weight, scaling, weights of kinds | best ridge | cross-validation | hold-out kinds | test "
        "(MAE meV/atom, RMSE eV/Å)"
    )
    for name, penalty, weight, scaling, weights in (
        ("complexity^1", complexity, 20.0, 1.0, usual),
        ("complexity^2 (default)", complexity**2, 20.0, 1.0, usual),
        ("complexity^3", complexity**3, 20.0, 1.0, usual),
        ("complexity^4", complexity**4, 20.0, 1.0, usual),
        ("2^order complexity^2", complexity**2 * 2.0**orders, 20.0, 1.0, usual),
        ("exp(complexity)", np.exp(complexity / 1.5), 20.0, 1.0, usual),
        ("columns not scaled", complexity**2, 20.0, 0.0, usual),
        ("energies 40", complexity**2, 40.0, 1.0, usual),
        ("energies 10", complexity**2, 10.0, 1.0, usual),
        ("kinds by force^-1/2", complexity**2, 20.0, 1.0, quiet),
    ):

        def fit(
            some: Sequence[Cell],
            penalty: np.ndarray = penalty,
            weight: float = weight,
            scaling: float = scaling,
            weights: np.ndarray = weights,
        ) -> np.ndarray:
            return solutions(some, penalty, weight, scaling, weights)

        folds_errors = mean_hold_out(cells, lambda cell: cell.fold, fit)
        kinds_errors = mean_hold_out(cells, lambda cell: cell.kind, fit)
        best = int(folds_errors.prod(axis=1).argmin())
        test_errors = errors(tested, fit(cells))
        columns = (f"{one[best, 0]:.2f} {one[best, 1]:.4f}" for one in (folds_errors, kinds_errors, test_errors))
        print(f"{name:24s} | {RIDGES[best]:.0e} | {' | '.join(columns)}", flush=True)


def frames_of(structures: Sequence[ase.Atoms], element: str) -> list[Frame]:
    """Return the structures as the fit reads them, through a temporary file."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "data.traj"
        with Trajectory(str(file), "w") as trajectory:
            for atoms in structures:
                trajectory.write(atoms)
        return read_frames(file, [element])


if __name__ == "__main__":
    main()
