"""Rejection of labelled structures that cannot be in a dataset, each with the reason."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols, covalent_radii

from ..config.schemas.curation import CurationConfig
from .fingerprint import shortest_distances
from .lattice import compact_lattice
from .repair import UnusableError, repair

Reason = Literal[
    "missing_label",
    "wrong_shape",
    "non_finite",
    "unusable_structure",
    "cell_too_thin",
    "atoms_too_close",
    "force_too_large",
    "energy_outlier",
]
"""Reasons for a rejection in the order of the checks; the first that applies is given."""

MIN_FOR_MEDIAN = 5
"""Number of structures of one family and composition from which their median energy is used."""


@dataclass(frozen=True)
class Fault:
    """Why a structure is rejected: a reason for programs, and a message."""

    reason: Reason
    detail: str


def find_faults(structures: Sequence[Atoms], config: CurationConfig) -> dict[int, Fault]:
    """Return the faults of structures by index, in the order of the input.

    :param structures: with labels in ``atoms.calc.results``, see :func:`label_fault`.
    """
    faults = {}
    for index, atoms in enumerate(structures):
        fault = label_fault(atoms) or _structure_fault(atoms) or _cell_fault(atoms, config)
        fault = fault or _distance_fault(atoms, config) or _force_fault(atoms, config)
        if fault is not None:
            faults[index] = fault
    valid = {index: atoms for index, atoms in enumerate(structures) if index not in faults}
    faults.update(_energy_faults(valid, config))
    return dict(sorted(faults.items()))


def label_fault(atoms: Atoms) -> Fault | None:
    """Return what is wrong with a structure of n atoms and its labels, or None.

    Energy (eV) and forces (n, 3) (eV/Å) must exist and belong to this geometry. All labels, the stress (6,) (eV/Å^3) if
    there is one, positions and cell must be finite.
    """
    n_atoms = len(atoms)
    if n_atoms == 0:
        return Fault("wrong_shape", "no atoms")
    results = getattr(atoms.calc, "results", {})
    missing = [name for name in ("energy", "forces") if results.get(name) is None]
    if missing:
        return Fault("missing_label", f"no {' and no '.join(missing)}")
    if not _labels_match_geometry(atoms):
        return Fault("missing_label", "energy and forces belong to another geometry")
    arrays = {}
    for name, shape in (("energy", ()), ("forces", (n_atoms, 3)), ("stress", (6,))):
        if results.get(name) is None:
            continue
        try:
            arrays[name] = np.asarray(results[name], dtype=float)
        except (TypeError, ValueError):
            return Fault("wrong_shape", f"{name} are not numbers: {results[name]!r:.60}")
        if arrays[name].shape != shape:
            return Fault("wrong_shape", f"{name} of the shape {arrays[name].shape}, not {shape}")
    for name, array in (("positions", atoms.positions), ("cell", atoms.cell.array), *arrays.items()):
        if not np.isfinite(array).all():
            of_atom = (
                "" if len(array.shape) < 2 or name == "cell" else f" of atom {np.argwhere(~np.isfinite(array))[0][0]}"
            )
            return Fault("non_finite", f"{name}{of_atom} not finite")
    return None


def _labels_match_geometry(atoms: Atoms) -> bool:
    labelled = getattr(atoms.calc, "atoms", None)
    return labelled is None or (
        np.array_equal(labelled.numbers, atoms.numbers)
        and np.array_equal(labelled.pbc, atoms.pbc)
        and np.array_equal(labelled.positions, atoms.positions, equal_nan=True)
        and np.array_equal(labelled.cell.array, atoms.cell.array, equal_nan=True)
    )


def _structure_fault(atoms: Atoms) -> Fault | None:
    try:
        repair(atoms)
    except UnusableError as error:
        return Fault("unusable_structure", str(error))
    return None


def _cell_fault(atoms: Atoms, config: CurationConfig) -> Fault | None:
    if not atoms.pbc.any():
        return None
    try:
        vectors = compact_lattice(atoms)
    except ValueError as error:
        return Fault("cell_too_thin", str(error))
    height = 1.0 / np.linalg.norm(np.linalg.pinv(vectors), axis=0).max()
    if height < config.min_cell_height:
        return Fault(
            "cell_too_thin", f"the cell is {height:.3g} Å thin; at least {config.min_cell_height:g} Å are required"
        )
    return None


def _distance_fault(atoms: Atoms, config: CurationConfig) -> Fault | None:
    if config.min_distance is None:
        return None
    reach = 2.0 * config.min_distance * float(covalent_radii[atoms.numbers].max())
    for (first, second), length in shortest_distances(atoms, reach).items():
        fraction = length / (covalent_radii[first] + covalent_radii[second])
        if fraction < config.min_distance:
            return Fault(
                "atoms_too_close",
                f"{chemical_symbols[first]} and {chemical_symbols[second]} {length:.3g} Å apart, {fraction:.2g} of the "
                f"sum of their covalent radii; at least {config.min_distance:g} is required",
            )
    return None


def _force_fault(atoms: Atoms, config: CurationConfig) -> Fault | None:
    if config.max_force is None:
        return None
    forces = np.linalg.norm(atoms.calc.results["forces"], axis=1)
    worst = int(forces.argmax())
    if forces[worst] > config.max_force:
        return Fault(
            "force_too_large",
            f"{forces[worst]:.4g} eV/Å on atom {worst}; at most {config.max_force:g} eV/Å are allowed",
        )
    return None


def _energy_faults(structures: Mapping[int, Atoms], config: CurationConfig) -> dict[int, Fault]:
    if config.max_energy_deviation is None:
        return {}
    kinds: dict[tuple[str, str], dict[int, float]] = defaultdict(dict)
    for index, atoms in structures.items():
        kind = (str(atoms.info.get("family", "unknown")), atoms.get_chemical_formula(empirical=True))
        kinds[kind][index] = float(atoms.calc.results["energy"]) / len(atoms)
    faults = {}
    for (family, formula), energies in kinds.items():
        if len(energies) < MIN_FOR_MEDIAN:
            continue
        median = float(np.median(list(energies.values())))
        for index, energy in energies.items():
            if abs(energy - median) > config.max_energy_deviation:
                faults[index] = Fault(
                    "energy_outlier",
                    f"{energy:.4g} eV/atom, {energy - median:+.4g} from the median of {formula} of the family "
                    f"{family}; at most {config.max_energy_deviation:g} are allowed",
                )
    return faults
