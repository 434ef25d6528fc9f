"""Predictions for the structures of a dataset, and its coverage, from the files of the fit. No AiiDA."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols

from ..config.schemas.curation import DuplicateConfig
from ..dataset.fingerprint import Fingerprint, fingerprint
from .model import Coverage, Structures

UNKNOWN, OWN_DATA = "unknown", "own data"
"""Family of structures whose files name none, and the name of their kind."""

BEYOND_CUTOFF, BIN = 1.5, 0.1
"""Histograms of distances reach this far beyond the cutoff (Å), with bins of this width (Å)."""


def tabulate(
    frames: Sequence[Atoms],
    predictions: Mapping[str, np.ndarray],
    reference_energies: Mapping[str, float],
    shortest: np.ndarray,
) -> Structures:
    """Return labels, predictions and origin of each structure.

    :param frames: the n structures of the dataset, in the order of the fit.
    :param predictions: arrays of `predictions.npz`, in the order of the frames.
    :param reference_energies: energies of free atoms by element, in eV.
    :param shortest: (n,) shortest distances in Å, see :func:`measure_coverage`.
    :raises ValueError: if the predictions do not belong to the frames.
    """
    n_atoms = np.array([len(atoms) for atoms in frames])
    owner = predictions["structure_index"]
    if not np.array_equal(owner, np.repeat(np.arange(len(frames)), n_atoms)):
        raise ValueError("the predictions are not those of this dataset")
    free = np.array([sum(reference_energies[symbol] for symbol in atoms.symbols) for atoms in frames]) / n_atoms
    reference, predicted = predictions["energy_reference"], predictions["energy_predicted"]
    forces = predictions["forces_reference"], predictions["forces_predicted"]
    wrong = np.abs(forces[1] - forces[0])
    starts = np.concatenate([[0], np.cumsum(n_atoms)[:-1]])
    squares = np.add.reduceat((wrong**2).sum(axis=1), starts)
    is_test = predictions["split"] == "test"
    kind_names, kinds = _numbered([_kind(atoms) for atoms in frames])
    formula_names, formula = _numbered([atoms.get_chemical_formula() for atoms in frames])
    calculation_uuids, calculation = _numbered([str(atoms.info.get("calculation", "")) for atoms in frames])
    source_uuids, source = _numbered([str(atoms.info.get("source_uuid", "")) for atoms in frames])
    return Structures(
        kind_names=kind_names,
        kinds=kinds,
        is_test=is_test,
        repeats_train=_repeats_train(frames, is_test),
        formula_names=formula_names,
        formula=formula,
        n_atoms=n_atoms,
        energy_reference=reference - free,
        energy_predicted=predicted - free,
        energy_error=1000.0 * (predicted - reference),
        force_rmse=np.sqrt(squares / (3 * n_atoms)),
        force_largest_error=np.maximum.reduceat(np.linalg.norm(forces[1] - forces[0], axis=1), starts),
        worst_component=_worst_components(forces, wrong, starts, n_atoms),
        shortest=shortest,
        calculation_uuids=calculation_uuids,
        calculation=calculation,
        source_uuids=source_uuids,
        source=source,
        locations=[str(atoms.info.get("location", "")) for atoms in frames],
        source_step=np.array([int(atoms.info.get("source_step", -1)) for atoms in frames]),
        atoms=owner,
        forces=forces,
    )


def _repeats_train(frames: Sequence[Atoms], is_test: np.ndarray) -> np.ndarray:
    """Return the mask (n,) of test structures in the same group of equal structures as a training structure."""
    groups = [atoms.info.get("group", f"ungrouped {index}") for index, atoms in enumerate(frames)]
    trained = {group for group, test in zip(groups, is_test, strict=True) if not test}
    return np.array([bool(test) and group in trained for group, test in zip(groups, is_test, strict=True)])


def _kind(atoms: Atoms) -> str:
    """Return the kind of a structure: its family; for a variation of a given structure `name: variation`."""
    family = str(atoms.info.get("family", UNKNOWN))
    if family == UNKNOWN:
        return OWN_DATA
    name, _, variation = family.rpartition("_")
    return f"{name}: {variation}" if name and "origin" in atoms.info else family


def _numbered(names: Sequence[str]) -> tuple[list[str], np.ndarray]:
    unique, numbers = np.unique(np.array(names), return_inverse=True)
    return [str(name) for name in unique], numbers


def _worst_components(
    forces: tuple[np.ndarray, np.ndarray], wrong: np.ndarray, starts: np.ndarray, n_atoms: np.ndarray
) -> np.ndarray:
    worst = [
        3 * start + int(wrong[start : start + count].argmax()) for start, count in zip(starts, n_atoms, strict=True)
    ]
    return np.stack([part.ravel()[worst] for part in forces], axis=1)


def measure_coverage(frames: Sequence[Atoms], cutoff: float) -> tuple[Coverage, np.ndarray]:
    """Return the coverage of the dataset, and the shortest distance (n,) in each structure (Å), NaN without neighbours."""
    radius = cutoff + BEYOND_CUTOFF
    edges = np.arange(0.0, radius + BIN / 2, BIN)
    counts: dict[str, np.ndarray] = defaultdict(lambda: np.zeros(len(edges) - 1, dtype=int))
    of_pair: dict[str, np.ndarray] = defaultdict(lambda: np.full(len(frames), np.inf))
    nearest: list[np.ndarray] = []
    for index, atoms in enumerate(frames):
        of_atom = np.full(len(atoms), np.inf)
        for pair, rows, owners in _by_pair(fingerprint(atoms, DuplicateConfig(radius=radius))):
            # The fingerprint has the radius, in single precision, in place of missing neighbours.
            within = rows < radius - 1e-4
            counts[pair] += np.histogram(rows[within], edges)[0]
            closest = np.where(within, rows, np.inf).min(axis=1, initial=np.inf)
            of_atom[owners] = np.minimum(of_atom[owners], closest)
            of_pair[pair][index] = min(of_pair[pair][index], closest.min(initial=np.inf))
        finite = of_atom[np.isfinite(of_atom)]
        if finite.size:
            nearest.append(finite)
    median_nearest = float(np.median(np.concatenate(nearest))) if nearest else None
    n_atoms = sum(len(atoms) for atoms in frames)
    shortest = np.min([np.full(len(frames), np.inf), *of_pair.values()], axis=0)
    shortest[np.isinf(shortest)] = np.nan
    coverage = Coverage(
        edges,
        dict(sorted(counts.items())),
        dict(sorted(of_pair.items())),
        n_atoms,
        median_nearest,
        _compositions(frames),
    )
    return coverage, shortest


def _by_pair(current: Fingerprint) -> list[tuple[str, np.ndarray, slice]]:
    """Return for each pair A-B the sorted distances (n_A, k) from the atoms of A, and the slice of these atoms."""
    symbols = [chemical_symbols[number] for number, _ in current.comparison_key[1]]
    found, start = [], 0
    for first, rows in enumerate(current.rows):
        owners = slice(start, start + len(rows))
        start += len(rows)
        for other in range(len(symbols)):
            found.append(("–".join(sorted((symbols[first], symbols[other]))), rows[:, other, :], owners))
    return found


def _compositions(frames: Sequence[Atoms]) -> dict[str, int]:
    return dict(Counter(atoms.get_chemical_formula(empirical=True) for atoms in frames).most_common())
