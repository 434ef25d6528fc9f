"""Sanity check of a potential on and near its training structures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from mlip_common.errors import ProgramError

from .data import Frame, ReferenceEnergies
from .evaluation import predict

N_PERTURBED = 24
"""Number of training structures, spread over the families, that are perturbed."""

N_FOR_ERRORS = 100
"""Number of random training structures for the check of the errors."""

RATTLE, STRAIN = 0.05, 0.01
"""Standard deviation (Å) of the displacements, and of the components of the strain."""

FEW_ATOMS = 8
"""Cells of fewer atoms are doubled along each axis, as displacements of a single atom keep the symmetry."""

LARGEST_ENERGY, LARGEST_FORCE = 2.0, 15.0
"""Limits of the energy change (eV/atom) and of the forces (eV/Å) after perturbing a structure without forces. The stiffest
bonds give a quarter of these. The limits grow with the forces in the data: a poor fit need not be unphysical."""

LARGEST_RELATIVE_ERROR = 2.0
"""Largest RMSE on training structures, relative to the root mean square of the labels, energies relative to free atoms."""


def check_sanity(yace: Path, training: Sequence[Frame], reference: ReferenceEnergies, workers: int) -> None:
    """Check a potential on training structures and on perturbed training structures.

    :raises ProgramError: of the kind `unphysical`, with the structure and the numbers.
    """
    chosen = _spread(training)
    if not chosen:
        return
    moved = [_perturbed(frame, seed) for seed, frame in enumerate(chosen)]
    sample = [training[index] for index in np.random.default_rng(0).permutation(len(training))[:N_FOR_ERRORS].tolist()]
    predictions = predict(yace, [*sample, *chosen, *moved], workers)
    _check_errors(sample, predictions[: len(sample)], reference)
    before, after = predictions[len(sample) : -len(moved)], predictions[-len(moved) :]
    typical = float(np.sqrt(np.mean(np.concatenate([frame.forces.ravel() for frame in training]) ** 2)))
    for frame, copy, (energy, _), (energy_moved, forces_moved) in zip(chosen, moved, before, after, strict=True):
        change = energy_moved / len(copy.atoms) - energy / len(frame.atoms)
        largest = float(np.abs(frame.forces).max())
        by_energy = abs(change) / (LARGEST_ENERGY + 0.5 * largest + typical)
        by_force = float(np.abs(forces_moved).max()) / (LARGEST_FORCE + 4.0 * largest + 8.0 * typical)
        if not max(by_energy, by_force) <= 1.0:
            raise ProgramError(
                "unphysical",
                f"the potential is not usable: displacing the atoms of a training structure ({frame.atoms.symbols}, "
                f"{frame.family}) by {RATTLE} Å and straining its cell by 1 % changes its energy by {change:.3g} eV/atom "
                f"and gives a force of {float(np.abs(forces_moved).max()):.3g} eV/Å. The structures do not determine all "
                "functions: add structures with displaced atoms, set fewer functions (n_functions) or a larger ridge",
            )


def _check_errors(
    frames: Sequence[Frame], predictions: Sequence[tuple[float, np.ndarray]], reference: ReferenceEnergies
) -> None:
    labels = np.array([(frame.energy - reference.of(frame.atoms)) / len(frame.atoms) for frame in frames])
    errors = np.array([energy / len(f.atoms) for f, (energy, _) in zip(frames, predictions, strict=True)]) - labels
    forces = np.concatenate([frame.forces.ravel() for frame in frames])
    of_forces = np.concatenate([found.ravel() for _, found in predictions]) - forces
    for name, unit, wrong, spread in (
        ("energies", "eV/atom", errors, max(float(np.sqrt(np.mean(labels**2))), 0.01)),
        ("forces", "eV/Å", of_forces, max(float(np.sqrt(np.mean(forces**2))), 0.1)),
    ):
        rmse = float(np.sqrt(np.mean(wrong**2)))
        if not rmse <= LARGEST_RELATIVE_ERROR * spread:
            raise ProgramError(
                "unphysical",
                f"the potential is not usable: the RMSE of its {name} on the training structures is {rmse:.3g} {unit}, more "
                f"than {LARGEST_RELATIVE_ERROR:g} times the root mean square of the labels ({spread:.3g} {unit})",
            )


def _spread(training: Sequence[Frame]) -> list[Frame]:
    """Return structures of each family in turn, those with the smallest forces first."""
    of_family: dict[str, list[Frame]] = {}
    for frame in sorted(training, key=lambda frame: float(np.abs(frame.forces).max())):
        if len(frame.atoms) > 1 or frame.atoms.pbc.any():
            of_family.setdefault(frame.family, []).append(frame)
    chosen: list[Frame] = []
    rank = 0
    while len(chosen) < N_PERTURBED and any(rank < len(frames) for frames in of_family.values()):
        chosen += [frames[rank] for frames in of_family.values() if rank < len(frames)]
        rank += 1
    return chosen[:N_PERTURBED]


def _perturbed(frame: Frame, seed: int) -> Frame:
    """Return a structure (or supercell of a small cell) with displaced atoms and a strained cell."""
    random = np.random.default_rng(seed)
    atoms = frame.atoms.copy()
    if atoms.pbc.all():
        strain = np.eye(3) + STRAIN * random.normal(size=(3, 3))
        if len(atoms) < FEW_ATOMS:
            atoms = atoms.repeat(2)
        atoms.set_cell(atoms.cell.array @ strain, scale_atoms=True)
    atoms.positions += RATTLE * random.normal(size=atoms.positions.shape)
    return replace(frame, atoms=atoms)
