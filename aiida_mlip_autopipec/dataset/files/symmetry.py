"""Symmetry operations of crystals in files: from their text, or from the name or number of a space group."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import product

import numpy as np
import spglib
from ase.spacegroup.spacegroup import parse_sitesym
from numpy.typing import NDArray

REMEDY = "write the file with its symmetry operations, for example by VESTA or pymatgen"

_ELEMENT = re.compile(r"[+-]?(?:[xyz]|\d+/\d+|\d+\.?\d*|\.\d+)(?:[+-](?:[xyz]|\d+/\d+|\d+\.?\d*|\.\d+))*")
_LOOSE, _TIGHT = 1e-2, 1e-3
"""Relative deviations of the cell from the symmetry: the largest one allowed, and the one below which a setting is preferred to
those with larger deviations."""
_DENOMINATOR = 48
"""Largest denominator of a translation (in cell vectors); decimals such as 0.3333 are replaced by the nearest such fraction."""
_GRID = 60480
"""Translations are compared as integers, in units of a cell vector divided by this common multiple of most denominators."""
_N_HALL = 530
"""Number of settings of the space groups in spglib (Hall numbers)."""
_E_GROUPS = (39, 41, 64, 67, 68)
"""Numbers of the space groups whose glide plane e was called a, b or c before 1992: Cmce was Cmca."""
_ORIGINS = {"S": "1", "Z": "2"}
"""Letters at the end of a name in the ICSD, and the origin choices that they mean."""


class SymmetryError(ValueError):
    """Symmetry that is missing, ambiguous or contradictory; the message says what to do."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"its symmetry: {reason}: {REMEDY}")


@dataclass(frozen=True)
class Operations:
    """The operations of a space group in a cell, with its centring."""

    rotations: NDArray[np.int64]
    translations: NDArray[np.float64]

    def images(self, point: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the images of a point in fractional coordinates."""
        images: NDArray[np.float64] = self.rotations @ point + self.translations
        return images

    def keys(self) -> NDArray[np.int64]:
        """Return integers (n, 12) by which operations are compared; a difference of a lattice vector does not change them."""
        return _keys(self.rotations, self.translations)

    def deviation(self, cell: NDArray[np.float64]) -> float:
        """Return the largest relative change of the metric tensor of a cell by an operation; 0 if the cell has the symmetry."""
        metric = cell @ cell.T
        lengths = np.sqrt(np.diag(metric))
        changed = self.rotations.transpose(0, 2, 1) @ metric @ self.rotations - metric
        return float(np.abs(changed / np.outer(lengths, lengths)).max())


def operations_of_text(
    texts: Sequence[str],
    centering: Sequence[str],
    cell: NDArray[np.float64],
    *,
    names: Sequence[str] = (),
    halls: Sequence[str] = (),
    numbers: Sequence[int] = (),
    magnetic: bool = False,
) -> Operations:
    """Return the operations that a file lists.

    :param texts: e.g. ``-x,y+1/2,-z``; magnetic operations end in ``,+1`` or ``,-1``, which is ignored.
    :param centering: the centring translations of magnetic operations, as text; they are combined with each operation.
    :param cell: cell vectors (3, 3) in Å.
    :param names: Hermann-Mauguin names of the space group in the file; unknown ones are ignored, as are unknown Hall symbols.
    :param halls: Hall symbols in the file.
    :param numbers: numbers of the space group in the file.
    :param magnetic: whether the operations are magnetic.
    :raises SymmetryError: if the operations cannot be read, are not a group, or contradict the cell, the names or the numbers.
    """
    first, second = _parse(texts, magnetic), _parse(centering or ["x,y,z"], magnetic)
    rotations = np.concatenate([rotation @ first.rotations for rotation in second.rotations])
    translations = np.concatenate(
        [
            first.translations @ rotation.T + shift
            for rotation, shift in zip(second.rotations, second.translations, strict=True)
        ]
    )
    _, kept = np.unique(_keys(rotations, translations), axis=0, return_index=True)
    kept.sort()
    found = Operations(rotations[kept], translations[kept])
    _check_closed(found)
    if found.deviation(cell) > _LOOSE:
        raise SymmetryError("the lengths and angles of the cell contradict the operations")
    expected = {number: f"number {number}" for number in numbers}
    expected |= {_group(hall).number: f"name {name}" for name in names for hall in _named(name)}
    expected |= {_group(hall).number: f"Hall symbol {symbol}" for symbol in halls for hall in _of_hall(symbol)}
    if expected:
        group = spglib.get_spacegroup_type_from_symmetry(found.rotations, found.translations)
        for number, source in expected.items():
            if group is not None and number != group.number:
                raise SymmetryError(
                    f"the {source} of the space group contradicts the {len(found.rotations)} operations, which are those of "
                    f"{group.international_short} (number {group.number})"
                )
    return found


def operations_of_group(
    cell: NDArray[np.float64],
    names: Sequence[str],
    halls: Sequence[str],
    numbers: Sequence[int],
    reference: Sequence[str] = (),
    setting: str = "",
) -> Operations:
    """Return the operations of a space group that the file names.

    :param names: Hermann-Mauguin names, which may end in the setting, e.g. ``F d -3 m :2``.
    :param cell: cell vectors (3, 3) in Å.
    :param halls: Hall symbols.
    :param numbers: numbers of the space group.
    :param reference: names of the type of the space group, in any setting.
    :param setting: code of the axes, cell or origin, e.g. ``b1``, ``2`` or ``h``.
    :raises SymmetryError: if the group is unknown, contradicts the cell, or more than one setting is possible.
    """
    names = [] if any(map(_of_hall, halls)) and not any(map(_named, names)) else names  # the Hall symbol is sufficient
    title = ", ".join([*names, *halls, *reference, *(f"number {number}" for number in numbers)])
    candidates = set(range(1, _N_HALL + 1))
    for texts, find in ((names, _named), (halls, _of_hall), (reference, _types_of)):
        for text in texts:
            found = find(text)
            if not found:
                raise SymmetryError(f"the space group {text} is unknown, and the file has no symmetry operations")
            candidates &= found
    candidates = {hall for hall in candidates if all(_group(hall).number == number for number in numbers)}
    if not candidates:
        raise SymmetryError(f"the names and numbers of the space group contradict each other ({title})")
    chosen = {hall for hall in candidates if _group(hall).choice.lower() == setting.lower()} if setting else set()
    candidates = chosen or candidates
    deviations = {hall: _of_database(hall).deviation(cell) for hall in candidates}
    fitting = [hall for hall in candidates if deviations[hall] < _TIGHT]
    fitting = fitting or [hall for hall in candidates if deviations[hall] < _LOOSE]
    if not fitting:
        raise SymmetryError(f"the lengths and angles of the cell contradict the space group {title}")
    if names and len(fitting) > 1:
        # A short name such as P 21/c has the unique axis b unless the cell says otherwise.
        fitting = [hall for hall in fitting if "b" in _group(hall).choice and _is_monoclinic(hall)] or fitting
    distinct = {tuple(np.unique(_of_database(hall).keys(), axis=0).ravel().tolist()) for hall in fitting}
    if len(distinct) > 1:
        raise SymmetryError(f"the space group {title} has several origins or settings, and the file has no operations")
    return _of_database(fitting[0])


def _parse(texts: Sequence[str], magnetic: bool) -> Operations:
    cleaned = []
    # Several quoted operations in one line are one value to ASE.
    for text in (part for line in texts for part in re.split(r"['\"]\s+['\"]", str(line))):
        line = re.sub(r"[\s'\"]", "", str(text)).lower()
        line = re.sub(r",[+-]?1$", "", line) if magnetic else line
        parts = line.split(",")
        if len(parts) != 3 or not all(_ELEMENT.fullmatch(part) for part in parts):
            raise SymmetryError(f"the operation {str(text)[:40]!r} is not one such as -x,y+1/2,-z")
        if any(len(re.findall(r"(?<![\d./])[\d.]+(?:/\d+)?", part)) > 1 for part in parts):
            raise SymmetryError(f"the operation {str(text)[:40]!r} has two translations along one axis")
        if any(re.search(r"/0+(?!\d)", part) for part in parts):
            raise SymmetryError(f"the operation {str(text)[:40]!r} divides by zero")
        cleaned.append(line)
    rotations, translations = parse_sitesym(cleaned)
    for text, rotation in zip(cleaned, rotations, strict=True):
        if round(abs(np.linalg.det(rotation))) != 1:
            raise SymmetryError(f"the operation {str(text)[:40]!r} changes the volume")
    snapped = [[float(Fraction(value).limit_denominator(_DENOMINATOR)) for value in row] for row in translations]
    return Operations(np.array(rotations), np.array(snapped))


def _keys(rotations: NDArray[np.int64], translations: NDArray[np.float64]) -> NDArray[np.int64]:
    shifts = np.rint(translations * _GRID).astype(np.int64) % _GRID
    return np.concatenate([rotations.reshape(-1, 9), shifts], axis=1)


def _check_closed(operations: Operations) -> None:
    """Raise an error if a product of two operations is missing."""
    known = set(map(bytes, operations.keys()))
    for rotation, translation in zip(operations.rotations, operations.translations, strict=True):
        products = _keys(rotation @ operations.rotations, operations.translations @ rotation.T + translation)
        if not known.issuperset(map(bytes, products)):
            raise SymmetryError(
                f"the {len(operations.rotations)} operations are incomplete: products of them are missing"
            )


@lru_cache(maxsize=_N_HALL)
def _group(hall: int) -> spglib.SpaceGroupType:
    group = spglib.get_spacegroup_type(hall)
    assert group is not None, hall
    return group


@lru_cache(maxsize=64)
def _of_database(hall: int) -> Operations:
    found = spglib.get_symmetry_from_database(hall)
    assert found is not None, hall
    return Operations(found["rotations"].astype(np.int64), found["translations"].astype(np.float64))


def _is_monoclinic(hall: int) -> bool:
    return 3 <= _group(hall).number <= 15


def _plain(name: str) -> str:
    return re.sub(r"[\s_]", "", name).lower()


def _named(name: str) -> set[int]:
    """Return the settings, as Hall numbers of spglib, that a Hermann-Mauguin name may mean."""
    table = _names()
    base, _, choice = name.partition(":")
    if not choice and _plain(name) not in table:
        match = re.fullmatch(r"(.*?)\s*([HRSZ])", name.strip())
        base, choice = (match[1], match[2]) if match else (name, "")
    found = table.get(_plain(base), set())
    choice = choice.strip()
    choice = _ORIGINS.get(choice.upper(), choice).lower()
    return {hall for hall in found if _group(hall).choice.lower() == choice} if choice else set(found)


def _types_of(name: str) -> set[int]:
    """Return all settings of the groups that a name may mean."""
    numbers = {_group(hall).number for hall in _named(name)}
    return {hall for hall in range(1, _N_HALL + 1) if _group(hall).number in numbers}


def _of_hall(symbol: str) -> set[int]:
    wanted = " ".join(symbol.replace("_", " ").split()).lower()
    return {hall for hall in range(1, _N_HALL + 1) if _group(hall).hall_symbol.lower() == wanted}


@lru_cache(maxsize=1)
def _names() -> dict[str, set[int]]:
    """Return the settings by the names that mean them, without spaces and in lower case."""
    table: dict[str, set[int]] = defaultdict(set)
    for hall in range(1, _N_HALL + 1):
        group = _group(hall)
        names = {group.international_full}
        if _is_monoclinic(hall):
            # The other names that spglib lists are those of the standard setting.
            names.add(" ".join(part for part in group.international_full.split() if part != "1"))
        else:
            names.add(group.international)
        if group.number in _E_GROUPS:
            names |= {name.replace("e", letter) for name, letter in product(list(names), "abc")}
        # Older names of cubic groups: F m 3 m for F m -3 m.
        if 200 <= group.number <= 206 or group.number >= 221:
            names |= {name.replace("-3", "3") for name in list(names)}
        for name in names:
            table[_plain(name)].add(hall)
    return dict(table)
