"""Names of labels in files, and search for the labels of a frame.

A label name may have a prefix for the reference method, and is in upper or lower case: ``energy``, ``REF_energy``,
``DFT_forces``, ``dft_force``, ``Virials``. The energy of a frame is the force-consistent one: ``free_energy`` has
precedence over ``energy`` with the same prefix.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import all_properties
from ase.stress import full_3x3_to_voigt_6_stress

from ...config.schemas.label_keys import LabelKeys
from .frames import RawFrame

_NAME = re.compile(
    r"(?:(?P<prefix>ref|reference|dft|qm|vasp|castep|qe|cp2k|aims)[_-]?)?"
    r"(?P<label>free_energy|energy|forces?|stress|virials?)",
    re.IGNORECASE,
)
_LISTED_NAMES = (
    "energy, free_energy, force(s), stress, virial(s), in upper or lower case, also with a prefix such as REF_ or DFT_"
)
_GIVE_KEYS = "name the right ones by --keys energy=NAME,forces=NAME,stress=NAME (or virial=NAME)"

_ENERGY_TOLERANCE = 1e-6
"""Difference (eV/atom) up to which two energies of a frame are equal except for rounding."""
_FORCE_TOLERANCE, _STRESS_TOLERANCE = 1e-5, 1e-5
"""The same for forces (eV/Å) and stresses (eV/Å^3)."""


class LabelError(ValueError):
    """Values of a frame that cannot be used as its labels."""


class _Candidate:
    def __init__(self, name: str, prefix: str, label: str, value: Any) -> None:
        self.name, self.prefix, self.label, self.value = name, prefix, label, value


def is_label_name(name: str) -> bool:
    """Tell whether a name is used for a label in any format."""
    return name in all_properties or _NAME.fullmatch(name) is not None


def labels_of(frame: RawFrame, keys: LabelKeys) -> dict[str, Any]:
    """Return the available labels of a frame: energy (eV), forces (n, 3) (eV/Å), stress (6,) (eV/Å^3, ASE's sign).

    :param keys: label names; a label with a given name is read from no other name.
    :raises LabelError: if a label has different values under several names, or a value has the wrong shape.
    """
    atoms, named = frame.atoms, [_candidate(name, value) for name, value in frame.values]
    candidates = [candidate for candidate in named if candidate is not None]
    labels: dict[str, Any] = {}
    energies = _candidates(frame, candidates, keys.energy, "energy", ("energy", "free_energy"))
    if energies:
        labels["energy"] = _common_value(
            "energies",
            [(candidate.name, _number(candidate)) for candidate in _force_consistent(energies)],
            _ENERGY_TOLERANCE * max(1, len(atoms)),
        )
    forces = _candidates(frame, candidates, keys.forces, "forces", ("force", "forces"))
    if forces:
        labels["forces"] = _common_value(
            "forces", [(candidate.name, _forces(candidate, len(atoms))) for candidate in forces], _FORCE_TOLERANCE
        )
    stress = _stress(frame, candidates, keys)
    if stress is not None:
        labels["stress"] = stress
    return labels


def energy_kinds(frame: RawFrame) -> tuple[bool, bool]:
    """Return whether a frame has an `energy`, and whether it has a `free_energy` that differs from it or replaces it."""
    by_label = {name.lower(): value for name, value in frame.values if name.lower() in ("energy", "free_energy")}
    try:
        energy = float(by_label["energy"])
        return True, abs(energy - float(by_label["free_energy"])) > _ENERGY_TOLERANCE * max(1, len(frame.atoms))
    except (KeyError, TypeError, ValueError):
        return "energy" in by_label, "free_energy" in by_label and "energy" not in by_label


def missing_labels(frame: RawFrame, labels: Mapping[str, Any]) -> str | None:
    """Return a message on missing labels with the values the frame has, or None."""
    missing = [name for name in ("energy", "forces") if name not in labels]
    if not missing:
        return None
    available = sorted({f"{name} ({_shape(value)})"[:100] for name, value in frame.values})
    return (
        f"no {' and no '.join(missing)} under a common name ({_LISTED_NAMES}); the frame has: "
        f"{', '.join(available[:20]) or 'nothing'}{f' and {len(available) - 20} more' if len(available) > 20 else ''}; "
        f"{_GIVE_KEYS}"
    )


def other_names(names: Iterable[str], keys: LabelKeys) -> set[str]:
    """Return the names that are not labels."""
    named = {keys.energy, keys.forces, keys.stress, keys.virial}
    return {name for name in names if name not in named and not is_label_name(name)}


def _candidate(name: str, value: Any) -> _Candidate | None:
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    return _Candidate(name, (match["prefix"] or "").lower(), match["label"].lower(), value)


def _candidates(
    frame: RawFrame, candidates: Sequence[_Candidate], key: str | None, label: str, labels: tuple[str, ...]
) -> list[_Candidate]:
    if key is None:
        return [candidate for candidate in candidates if candidate.label in labels]
    found = [_Candidate(name, "", label, value) for name, value in frame.values if name == key]
    if not found and label in ("energy", "forces"):
        available = ", ".join(sorted({name for name, _ in frame.values})[:20])
        raise LabelError(f"no {key}, which --keys gives as {label}; the frame has: {available or 'nothing'}")
    return found


def _force_consistent(energies: list[_Candidate]) -> list[_Candidate]:
    free = {candidate.prefix for candidate in energies if candidate.label == "free_energy"}
    return [candidate for candidate in energies if candidate.label == "free_energy" or candidate.prefix not in free]


def _stress(frame: RawFrame, candidates: Sequence[_Candidate], keys: LabelKeys) -> np.ndarray | None:
    stresses = [] if keys.virial else _candidates(frame, candidates, keys.stress, "stress", ("stress",))
    virials = [] if keys.stress else _candidates(frame, candidates, keys.virial, "virial", ("virial", "virials"))
    found = [(candidate.name, _voigt(candidate)) for candidate in stresses]
    volume = frame.atoms.cell.volume
    if volume > 0.0:
        found += [(candidate.name, -_voigt(candidate) / volume) for candidate in virials]
    if not found:
        return None
    stress: np.ndarray = _common_value("stresses (virial = -volume * stress)", found, _STRESS_TOLERANCE)
    return stress


def _common_value(quantity: str, found: Sequence[tuple[str, Any]], tolerance: float) -> Any:
    name, value = found[0]
    for other, different in found[1:]:
        # Rounding of text is relative too; non-finite values are rejected later.
        if not np.allclose(value, different, rtol=1e-6 if np.ndim(value) else 1e-9, atol=tolerance, equal_nan=True):
            gap = np.abs(np.asarray(value) - np.asarray(different)).max()
            raise LabelError(
                f"has different {quantity} under {name} and {other}, by up to {gap:.4g}: it is not clear which are of "
                f"one method; {_GIVE_KEYS}"
            )
    return value


def _number(candidate: _Candidate) -> float:
    array = _array(candidate)
    if array.size != 1:
        raise LabelError(f"{candidate.name} is {_shape(candidate.value)}, not one number")
    return float(array.reshape(()))


def _forces(candidate: _Candidate, n_atoms: int) -> np.ndarray:
    array = _array(candidate)
    if array.shape not in ((n_atoms, 3), (3,) if n_atoms == 1 else (n_atoms, 3)):
        raise LabelError(f"{candidate.name} is {_shape(candidate.value)}, not of the shape ({n_atoms}, 3)")
    return array.reshape(n_atoms, 3)


def _voigt(candidate: _Candidate) -> np.ndarray:
    """Return a tensor (6,) in the order xx, yy, zz, yz, xz, xy."""
    array = _array(candidate)
    if array.size == 6:
        return array.reshape(6)
    if array.size != 9:
        raise LabelError(f"{candidate.name} is {_shape(candidate.value)}, not 6 (xx, yy, zz, yz, xz, xy) or 9 numbers")
    full = array.reshape(3, 3)
    if np.abs(full - full.T).max() > 0.01 * np.abs(full).max() + 1e-4:
        raise LabelError(
            f"{candidate.name} is not symmetric: {np.array2string(full, precision=4).replace(chr(10), '')}"
        )
    voigt: np.ndarray = full_3x3_to_voigt_6_stress(full)
    return voigt


def _array(candidate: _Candidate) -> np.ndarray:
    if np.asarray(candidate.value).dtype == bool:
        raise LabelError(
            f"{candidate.name} is true or false, not a number; a word without = and a value means true in a comment line: "
            f"write {candidate.name}=NUMBER"
        )
    try:
        return np.asarray(candidate.value, dtype=float)
    except (TypeError, ValueError):
        raise LabelError(f"{candidate.name} is not a number or numbers: {candidate.value!r:.60}") from None


def _shape(value: Any) -> str:
    shape = np.shape(value)
    return f"{type(value).__name__}" if shape == () else f"shape {shape}"


def plain_info(info: Mapping[Any, Any], keys: LabelKeys | None = None) -> dict[str, str | bool | int | float]:
    """Return the entries of ``atoms.info`` that are numbers or text, except labels."""
    values = {key: value.item() if isinstance(value, np.generic) else value for key, value in info.items()}
    kept = other_names((key for key in values if isinstance(key, str)), keys or LabelKeys())
    return {key: value for key, value in values.items() if key in kept and isinstance(value, (str, bool, int, float))}


def copy_geometry(atoms: Atoms, info: Mapping[str, Any]) -> Atoms:
    """Return a copy of the geometry with new ``info``, without labels."""
    copy = Atoms(numbers=atoms.numbers, positions=atoms.positions, cell=atoms.cell.array, pbc=atoms.pbc)
    copy.info = dict(info)
    return copy
