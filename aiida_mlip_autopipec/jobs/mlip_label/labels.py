"""Labels by an ASE calculator: of one structure, or of a batch at the same time."""

from __future__ import annotations

import contextlib
import sys
import traceback
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError

from .calculator import ignores_the_cell, make_calculator
from .convergence import is_convergence_error, not_converged
from .outcome import Outcome
from .scratch import clean, scratch_folder


def compute_labels(atoms: Atoms) -> dict:
    """Return energy, forces and, for periodic structures and if the calculator has it, stress (ASE's units).

    The energy is ASE's force-consistent energy where the calculator has it: the forces are its derivative.
    """
    try:
        energy = atoms.get_potential_energy(force_consistent=True)
    except PropertyNotImplementedError:
        energy = atoms.get_potential_energy()
    labels = {"energy": float(energy), "forces": np.array(atoms.get_forces(), dtype=float)}
    if atoms.pbc.all():
        with contextlib.suppress(PropertyNotImplementedError):
            labels["stress"] = np.array(atoms.get_stress(voigt=True), dtype=float)
    return labels


def label_batch(structures: Sequence[Atoms], calculator: Any) -> list[Outcome] | Outcome | None:
    """Label structures at the same time.

    :param structures: periodic.
    :returns: None if the calculator cannot, and a failure if it raises an exception.
    """
    if not hasattr(calculator, "label_batch") or not all(atoms.pbc.all() for atoms in structures):
        return None
    try:
        labels = calculator.label_batch(structures)
    except Exception as error:
        traceback.print_exc(file=sys.stdout)
        return Outcome(failure="exception", reason=f"{type(error).__name__}: {error}"[:2000])
    return [check_labels(found, atoms) for found, atoms in zip(labels, structures, strict=True)]


def check_labels(labels: dict, atoms: Atoms) -> Outcome:
    """Return the labels, or a failure if they are not finite or of the wrong shape."""
    if labels["forces"].shape != (len(atoms), 3):
        return Outcome(failure="wrong_shape", reason=f"forces have the shape {labels['forces'].shape}")
    for name, value in labels.items():
        if not np.isfinite(value).all():
            return Outcome(failure="non_finite", reason=f"{name} is not finite")
    return Outcome(labels)


def label_structure(atoms: Atoms, index: int, method: dict) -> Outcome:
    """Label a structure in a folder of its own; an exception of the calculator becomes a failure with its reason.

    :param atoms: with a calculator, or a new one is made.
    :param index: of the structure in the job; see :func:`parameters_of`.
    """
    with scratch_folder(index) as folder:
        outcome = _label(atoms, index, method)
        reason = not_converged(atoms.calc, folder)
        if reason is not None and outcome.failure != "out_of_memory":
            outcome = Outcome(failure="not_converged", reason=reason)
    clean(folder, keep=outcome.failure is not None)
    if folder.exists():
        return replace(outcome, reason=f"{outcome.reason} (files in {folder.relative_to(Path.cwd())})")
    return outcome


def parameters_of(index: int, method: dict) -> dict:
    """Return the keyword arguments of the calculator for a structure: the common ones, and those of its variant."""
    variant_of_structure = method.get("kinds")
    if not variant_of_structure:
        return method["parameters"]
    return {**method["parameters"], **method["variants"][variant_of_structure[index]]}


def _label(atoms: Atoms, index: int, method: dict) -> Outcome:
    try:
        if atoms.calc is None:
            atoms.calc = make_calculator(method, parameters_of(index, method), atoms)
        if atoms.pbc.any() and ignores_the_cell(atoms.calc):
            return Outcome(failure="periodic", reason="the calculator ignores the cell, and the structure is periodic")
        return check_labels(compute_labels(atoms), atoms)
    except PropertyNotImplementedError as error:
        return Outcome(failure="missing_property", reason=f"the calculator does not give {error or 'energy or forces'}")
    except MemoryError:
        return Outcome(failure="out_of_memory", reason="the calculator ran out of memory")
    except Exception as error:
        traceback.print_exc(file=sys.stdout)
        if is_convergence_error(error):
            return Outcome(failure="not_converged", reason=f"{type(error).__name__}: {error}"[:2000])
        return Outcome(failure="exception", reason=f"{type(error).__name__}: {error}"[:2000])
