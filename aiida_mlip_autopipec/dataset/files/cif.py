"""Crystals in CIF: the sites of a data block and their images by the symmetry operations.

The operations of the file are used whenever it has any. Without operations, a space group is used only if its name or number
leaves no choice of origin, axes or cell; otherwise the file is refused.
"""

from __future__ import annotations

import io
import re
import warnings
from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.geometry import cellpar_to_cell
from ase.io.cif import parse_cif
from numpy.typing import NDArray

from ..species import explain_species, is_element
from .symmetry import Operations, SymmetryError, operations_of_group, operations_of_text

_DATA_BLOCK = re.compile(rb"^\s*data_", re.IGNORECASE | re.MULTILINE)
_CELL = tuple(
    f"_cell_{tag}" for tag in ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
)
_COORDINATES = tuple(tuple(f"_atom_site_{kind}_{axis}" for axis in "xyz") for kind in ("fract", "cartn"))
_OPERATIONS = ("_space_group_symop_operation_xyz", "_symmetry_equiv_pos_as_xyz")
_MAGNETIC = "_space_group_symop_magn_operation_xyz"
_CENTERING = "_space_group_symop_magn_centering_xyz"
_MODULATED = ("_space_group_symop_ssg_operation_algebraic", "_space_group_symop_magn_ssg_operation_algebraic")
_NAMES = tuple(
    f"_{tag}_name_h-m{end}" for tag in ("space_group", "symmetry_space_group") for end in ("", "_alt", "_full")
)
_REFERENCE_NAME = "_space_group_name_h-m_ref"
_HALL = ("_space_group_name_hall", "_symmetry_space_group_name_hall")
_NUMBERS = ("_space_group_it_number", "_symmetry_int_tables_number")
_SETTING = "_space_group_it_coordinate_system_code"
_MULTIPLICITIES = ("_atom_site_symmetry_multiplicity", "_atom_site_site_symmetry_multiplicity")

_FULL = 0.999
"""Smallest occupancy (a fraction) of a site that counts as full; some programs write 0.9999."""
_SAME_SITE = 0.1
"""Distance (Å) below which images of a site are one atom, on a special position with rounded coordinates: no two atoms are so
close."""
_SAME_ATOM = 0.02
"""Distance (Å) below which two sites of one element are the same atom, listed twice."""


class CifError(ValueError):
    """A structure that is refused; the message of :func:`read_cif` names the frame and the site."""


def read_cif(path: Path) -> list[Atoms]:
    """Return the structures of a file.

    :raises CifError: if the symmetry or a site is missing, ambiguous or contradictory.
    :raises ValueError: if there is no data block, or a row of a table has too few or too many values.
    """
    content = path.read_bytes().removeprefix(BOM_UTF8).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if not _DATA_BLOCK.search(content):
        raise ValueError("it has no CIF data block (a line that begins with data_)")
    found: list[Atoms] = []
    for tags in _blocks(content):
        if any(all(tag in tags for tag in names) for names in _COORDINATES):
            try:
                found.append(_structure(tags))
            except (CifError, SymmetryError) as error:
                raise CifError(f"frame {len(found)}, {error}") from error
    return found


def _blocks(content: bytes) -> Iterator[dict[str, Any]]:
    """Yield the data items of each block by name, with an underscore for a dot: ``_cell_length_a`` for ``_cell.length_a``."""
    blocks = parse_cif(io.BytesIO(content))
    while True:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            block = next(blocks, None)
        if block is None:
            return
        tags = {name.replace(".", "_"): value for name, value in block.items()}
        _check_rows(tags, [str(warning.message) for warning in caught])
        yield tags


def _check_rows(tags: Mapping[str, Any], messages: Sequence[str]) -> None:
    """Raise an error if ASE dropped a row of a table of sites or operations."""
    tables = ("_atom_site_", "_space_group_symop_", "_symmetry_equiv_")
    columns = {sum(name.startswith(table) and "_aniso_" not in name for name in tags) for table in tables}
    for message in messages:
        match = re.match(r"Wrong number (\d+) of tokens, expected (\d+): (.*)", message)
        if match and int(match[2]) in columns:
            raise ValueError(f"a row has {match[1]} values instead of {match[2]}: {match[3]}")


def _structure(tags: Mapping[str, Any]) -> Atoms:
    cell = _cell(tags)
    sites = _labels(tags)
    symbols = _symbols(tags, sites)
    _check_sites(tags, sites)
    operations = _operations(tags, cell)
    orbits = [_orbit(point, operations, cell) for point in _fractional(tags, sites, cell)]
    _check_multiplicities(tags, sites, orbits, operations)
    kept = _distinct(orbits, symbols, sites, cell)
    return Atoms(
        [symbols[number] for number in kept for _ in orbits[number]],
        scaled_positions=np.concatenate([orbits[number] for number in kept]),
        cell=cell,
        pbc=True,
    )


def _cell(tags: Mapping[str, Any]) -> NDArray[np.float64]:
    for tag in _CELL:
        if not isinstance(tags.get(tag), int | float):
            fault = f"is {tags[tag]}, not a number" if tag in tags else "is not given"
            raise CifError(f"the cell: {tag} {fault}; all lengths and angles of the cell are needed")
    parameters = [float(tags[tag]) for tag in _CELL]
    with np.errstate(all="ignore"):
        cell = cellpar_to_cell(parameters) if min(parameters) > 0 else np.zeros((3, 3))
    if not np.isfinite(cell).all() or np.linalg.det(cell) <= 0:
        raise CifError(f"the cell: lengths and angles {parameters} span no volume")
    return cell


def _column(tags: Mapping[str, Any], name: str) -> list[Any]:
    """Return the values of a column; a value outside a table, as some programs write a single site, is a column of one."""
    value = tags.get(name, [])
    return value if isinstance(value, list) else [value]


def _given(value: Any) -> bool:
    return value not in (None, "", "?", ".")


def _labels(tags: Mapping[str, Any]) -> list[str]:
    """Return the name of each site for messages."""
    names = _column(tags, "_atom_site_label") or _column(tags, "_atom_site_type_symbol")
    if not names:
        raise CifError("its sites: neither _atom_site_type_symbol nor _atom_site_label is given")
    return [f"site {name}" if _given(name) else f"site {number} (counted from 0)" for number, name in enumerate(names)]


def _symbols(tags: Mapping[str, Any], sites: Sequence[str]) -> list[str]:
    typed = "_atom_site_type_symbol" in tags
    names = _column(tags, "_atom_site_type_symbol" if typed else "_atom_site_label")
    read = _element_of_type if typed else _element_of_label
    found = []
    for name, site in zip(names, sites, strict=True):
        try:
            found.append(read(str(name)))
        except ValueError as error:
            raise CifError(f"{site}: {error}") from error
    return found


def _element_of_type(name: str) -> str:
    """Return the element of a type symbol, e.g. Si4+, CU or D."""
    match = re.match(r"\d*([A-Za-z]+)", name)
    symbol = match[1].capitalize() if match else name
    if symbol == "D":
        return "H"
    if not is_element(symbol):
        raise ValueError(f"its _atom_site_type_symbol {explain_species(name)}")
    return symbol


def _element_of_label(name: str) -> str:
    """Return the element of a label, e.g. Cu1 or O2; an upper-case label may be read in two ways: CA1 as Ca or C."""
    remedy = "give the elements of the sites as _atom_site_type_symbol"
    match = re.match(r"[A-Za-z]+", name)
    letters = match.group() if match else ""
    if letters == "D":
        return "H"
    if len(letters) > 1 and letters[1].islower():
        if not is_element(letters):
            raise ValueError(f"its label {explain_species(name)}, or {remedy}")
        return letters
    readings = [symbol for symbol in {letters[:2].capitalize(), letters[:1].upper()} if is_element(symbol)]
    if len(readings) != 1:
        either = f"may be {' or '.join(sorted(readings))}" if readings else "begins with no element"
        raise ValueError(f"its label {either}: {remedy}")
    return readings[0]


def _check_sites(tags: Mapping[str, Any], sites: Sequence[str]) -> None:
    """Raise an error that names the first site that is not fully occupied by atoms with coordinates."""
    for site, occupancy in zip(sites, _column(tags, "_atom_site_occupancy"), strict=False):
        if not _given(occupancy):
            continue
        if not isinstance(occupancy, int | float):
            raise CifError(f"{site}: its occupancy {occupancy} is not a number")
        if occupancy > 2 - _FULL:
            raise CifError(f"{site}: occupancy {occupancy:g} is more than 1")
        if occupancy < _FULL:
            raise CifError(
                f"{site}: occupancy {occupancy:g}; disordered crystals cannot be computed: replace them by an ordered supercell"
            )
    for site, count in zip(sites, _column(tags, "_atom_site_attached_hydrogens"), strict=False):
        if isinstance(count, int | float) and count > 0:
            raise CifError(f"{site}: has {count:g} attached hydrogen atoms without coordinates: add them as sites")
    for site, flag in zip(sites, _column(tags, "_atom_site_calc_flag"), strict=False):
        if flag == "dum":
            raise CifError(f"{site}: is marked as a dummy (_atom_site_calc_flag dum): remove it")
    first: dict[str, str] = {}
    assemblies = _column(tags, "_atom_site_disorder_assembly") or ["."] * len(sites)
    for site, assembly, group in zip(sites, assemblies, _column(tags, "_atom_site_disorder_group"), strict=False):
        if _given(group) and str(group) != "0" and first.setdefault(str(assembly), str(group)) != str(group):
            raise CifError(
                f"{site}: is an alternative (_atom_site_disorder_group {group}) to other sites: keep one group"
            )


def _fractional(tags: Mapping[str, Any], sites: Sequence[str], cell: NDArray[np.float64]) -> NDArray[np.float64]:
    names = next(names for names in _COORDINATES if all(name in tags for name in names))
    rows = list(zip(*(_column(tags, name) for name in names), strict=True))
    for site, row in zip(sites, rows, strict=True):
        for name, value in zip(names, row, strict=True):
            if not isinstance(value, int | float):
                raise CifError(f"{site}: {name} is {value}, not a number: complete or remove this site")
    points = np.array(rows, dtype=float)
    return points if names == _COORDINATES[0] else points @ np.linalg.inv(cell)


def _operations(tags: Mapping[str, Any], cell: NDArray[np.float64]) -> Operations:
    dimension = tags.get("_cell_modulation_dimension")
    if any(tag in tags for tag in _MODULATED) or (isinstance(dimension, int) and dimension > 0):
        raise CifError("its symmetry: modulated structures are not read: write a commensurate supercell")
    magnetic = [text for text in _column(tags, _MAGNETIC) if _given(text)]
    if magnetic:
        centering = [text for text in _column(tags, _CENTERING) if _given(text)]
        return operations_of_text(magnetic, centering, cell, magnetic=True)
    names = [str(tags[tag]) for tag in _NAMES if _given(tags.get(tag))]
    reference = [str(tags[tag]) for tag in (_REFERENCE_NAME,) if _given(tags.get(tag))]
    numbers = [_number(tags[tag]) for tag in _NUMBERS if _given(tags.get(tag))]
    halls = [str(tags[tag]) for tag in _HALL if _given(tags.get(tag))]
    for tag in _OPERATIONS:
        texts = [text for text in _column(tags, tag) if _given(text)]
        if texts:
            return operations_of_text(texts, (), cell, names=[*names, *reference], halls=halls, numbers=numbers)
    if names or reference or numbers or halls:
        setting = str(tags.get(_SETTING, ""))
        return operations_of_group(cell, names, halls, numbers, reference, setting if _given(setting) else "")
    _check_no_symmetry(tags)
    return operations_of_text(["x,y,z"], (), cell)


def _number(value: Any) -> int:
    if not re.fullmatch(r"\s*\d{1,3}\s*", str(value)) or not 1 <= int(value) <= 230:
        raise CifError(f"its symmetry: the number {value} of the space group is not from 1 to 230")
    return int(value)


def _check_no_symmetry(tags: Mapping[str, Any]) -> None:
    """Raise an error if a block has signs of symmetry, but neither operations nor a name or number of its space group."""
    for tag in tags:
        if tag.startswith(("_space_group_", "_symmetry_", "_parent_space_group_")) and not tag.endswith("_id"):
            values = [str(item) for item in _column(tags, tag) if _given(item)]
            if values and not (values[0].lower() == "triclinic" and len(values) == 1):
                raise SymmetryError(f"it is given only by {tag} ({values[0]})")


def _orbit(point: NDArray[np.float64], operations: Operations, cell: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the images (n, 3) of a site, in fractional coordinates; a site near a special position is moved onto it."""
    steps = operations.images(point) - point
    steps -= np.rint(steps)
    point = point + steps[np.linalg.norm(steps @ cell, axis=1) < _SAME_SITE].mean(axis=0)
    found: list[NDArray[np.float64]] = []
    for image in operations.images(point):
        steps = np.array(found).reshape(-1, 3) - image
        if not (np.linalg.norm((steps - np.rint(steps)) @ cell, axis=1) < _SAME_SITE).any():
            found.append(image % 1.0)
    return np.array(found)


def _check_multiplicities(
    tags: Mapping[str, Any], sites: Sequence[str], orbits: Sequence[NDArray[np.float64]], operations: Operations
) -> None:
    """Raise an error if the file gives another number of images; some programs give the order of the site symmetry instead."""
    for tag in _MULTIPLICITIES:
        for site, given, orbit in zip(sites, _column(tags, tag), orbits, strict=False):
            if isinstance(given, int | float) and given not in (len(orbit), len(operations.rotations) / len(orbit)):
                raise SymmetryError(f"{site} has the multiplicity {given:g}, but {len(orbit)} images by the symmetry")


def _distinct(
    orbits: Sequence[NDArray[np.float64]], symbols: Sequence[str], sites: Sequence[str], cell: NDArray[np.float64]
) -> list[int]:
    """Return the numbers of the sites without those that are listed twice.

    :raises CifError: if two elements share a site.
    """
    kept: list[int] = []
    starts: list[int] = []
    placed = np.empty((sum(map(len, orbits)), 3))
    n_placed = 0
    for number, orbit in enumerate(orbits):
        if kept:
            steps = placed[:n_placed] - orbit[0]
            distances = np.linalg.norm((steps - np.rint(steps)) @ cell, axis=1)
            nearest = int(distances.argmin())
            other = kept[int(np.searchsorted(starts, nearest, side="right")) - 1]
            if distances[nearest] < _SAME_SITE and symbols[other] != symbols[number]:
                raise CifError(
                    f"{sites[number]}: {symbols[number]} is where {sites[other]} has {symbols[other]}; disordered crystals "
                    "cannot be computed: replace them by an ordered supercell"
                )
            if distances[nearest] < _SAME_ATOM:
                continue
        kept.append(number)
        starts.append(n_placed)
        placed[n_placed : n_placed + len(orbit)] = orbit
        n_placed += len(orbit)
    return kept
