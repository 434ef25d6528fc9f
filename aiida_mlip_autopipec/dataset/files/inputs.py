"""Structures in inputs of programs: POSCAR of VASP, and pw.x.

Both are read by ASE after a check, because ASE ignores or guesses what it does not find.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from pathlib import Path

from ase import Atoms
from ase.io import read
from ase.io.espresso import infix_float, read_fortran_namelist
from ase.units import create_units

from ..species import explain_species, is_element

_CARDS = (
    "ATOMIC_SPECIES|ATOMIC_POSITIONS|K_POINTS|CELL_PARAMETERS|CONSTRAINTS|OCCUPATIONS|ATOMIC_VELOCITIES|ATOMIC_FORCES"
)
_CARD = re.compile(rf"\s*({_CARDS}|ADDITIONAL_K_POINTS|SOLVENTS|HUBBARD)\b", re.IGNORECASE)
_BOHR = create_units("2006")["Bohr"]
"""Bohr radius (Å), from the CODATA values that ASE uses for pw.x."""
_FORTRAN = re.compile(r"(?<=[\d.])[dD](?=[+-]?\d)")
"""The letter of an exponent of Fortran, as in 0.25d0."""


class InputError(ValueError):
    """An input that is incomplete or in a form that is not read; the message names the line or the site."""


def read_poscar(path: Path) -> list[Atoms]:
    """Return the structure of a POSCAR or CONTCAR.

    :raises InputError: if the elements or sites are missing.
    """
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    row = _check_head(lines)
    symbols, counts = _species_of(lines)
    if lines[row].strip()[:1].lower() == "s":
        row += 1
    mode = lines[row].strip() if row < len(lines) else ""
    if not mode or _is_number(mode.split()[0]):
        raise InputError(f"line {row + 1} must be Direct or Cartesian, followed by the sites")
    sites = [symbol for symbol, count in zip(symbols, counts, strict=True) for _ in range(count)]
    for number, symbol in enumerate(sites, start=1):
        values = lines[row + number].split()[:3] if row + number < len(lines) else []
        if len(values) < 3 or not all(map(_is_number, values)):
            raise InputError(
                f"line {row + number + 1} has no coordinates of site {number} ({symbol}): the numbers of atoms say that there "
                f"are {len(sites)}"
            )
    found = read(path, format="vasp")
    assert isinstance(found, Atoms)
    return [found]


def _check_head(lines: Sequence[str]) -> int:
    """Return the index of the line after the numbers of atoms."""
    if len(lines) < 8:
        raise InputError(f"has only {len(lines)} lines: incomplete")
    for number in (2, 3, 4):
        values = lines[number].split()[:3]
        if len(values) < 3 or not all(map(_is_number, values)):
            raise InputError(f"line {number + 1} must have the three numbers of a lattice vector")
    return 6 if _is_vasp_4(lines) else 7


def _is_vasp_4(lines: Sequence[str]) -> bool:
    return bool(re.match(r"\s*\d+(\s|$)", lines[5]))


def _species_of(lines: Sequence[str]) -> tuple[list[str], list[int]]:
    old = _is_vasp_4(lines)
    texts = lines[5 if old else 6].split("!")[0].split()
    if not texts or not all(text.isdecimal() for text in texts) or not sum(map(int, texts)):
        raise InputError(f"line {6 if old else 7} must have the number of atoms of each element")
    names = lines[0].split() if old else lines[5].split("!")[0].split()
    symbols = [re.split("[_/]", name)[0] for name in names]
    unknown = [name for name, symbol in zip(names, symbols, strict=True) if not is_element(symbol)]
    if old and (unknown or len(symbols) != len(texts)):
        raise InputError(
            "does not name the elements (VASP 4): insert them, such as Al Ni, before the numbers of atoms (line 6)"
        )
    if unknown:
        raise InputError(f"line 6: {explain_species(unknown[0])}")
    if len(symbols) != len(texts):
        raise InputError(f"line 6 has {len(symbols)} elements, but line 7 {len(texts)} numbers of atoms")
    return symbols, [int(text) for text in texts]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def read_pw_input(path: Path) -> list[Atoms]:
    """Return the structure of an input of pw.x.

    :raises InputError: if the cell or sites are missing, `ibrav` is not 0, or ASE cannot read a coordinate.
    """
    text = path.read_text(encoding="utf-8", errors="replace")
    namelists, cards = read_fortran_namelist(io.StringIO(text))
    system = namelists.get("system")
    if system is None:
        raise InputError("is not an input of pw.x: it has no &SYSTEM")
    for name in ("ibrav", "nat", "ntyp"):
        if not isinstance(system.get(name), int):
            raise InputError(f"&SYSTEM has no integer {name}")
    if system["ibrav"] != 0:
        raise InputError(
            f"ibrav = {system['ibrav']} is not read: use ibrav = 0 and CELL_PARAMETERS, or the output of pw.x"
        )
    # ASE needs the names of cards in upper case, and lines without comments and without exponents of Fortran.
    cards = [re.sub("[!#].*", "", line).strip() for line in cards]
    cards = [_CARD.sub(lambda match: match.group().upper(), line) for line in cards if line]
    if len(_rows(cards, "CELL_PARAMETERS")) < 3:
        raise InputError("ibrav = 0 needs CELL_PARAMETERS with three rows")
    sites = _rows(cards, "ATOMIC_POSITIONS")
    if len(sites) < system["nat"]:
        raise InputError(f"ATOMIC_POSITIONS has {len(sites)} sites, but nat is {system['nat']}")
    for number, site in enumerate(sites[: system["nat"]]):
        _check_site(number, site)
    lines = [line if _CARD.match(line) else _plain_numbers(line) for line in cards]
    head = {name: system[name] for name in ("ibrav", "nat", "ntyp")}
    if "celldm(1)" in system:
        head["celldm(1)"] = system["celldm(1)"]
    elif "a" in system:
        # ASE 3.29 does not find A, and takes CELL_PARAMETERS without a unit as bohr.
        head["celldm(1)"] = system["a"] / _BOHR
    content = "\n".join(["&SYSTEM", *(f"{name} = {value}" for name, value in head.items()), "/", *lines, ""])
    try:
        found = read(io.StringIO(content), format="espresso-in")
    except ValueError as error:
        raise InputError(str(error)) from error
    assert isinstance(found, Atoms)
    return [Atoms(found.numbers, positions=found.positions, cell=found.cell, pbc=True)]


def _rows(cards: list[str], name: str) -> list[str]:
    """Return the rows of a card; none if it is missing or occurs twice."""
    starts = [number for number, line in enumerate(cards) if line.startswith(name)]
    if len(starts) != 1:
        return []
    rest = cards[starts[0] + 1 :]
    return rest[: next((number for number, line in enumerate(rest) if _CARD.match(line)), len(rest))]


def _plain_numbers(row: str) -> str:
    """Return a row with exponents of Fortran, such as 0.25d0, as 0.25e0; its first word may be the label of a site."""
    label, *values = row.split()
    first = _FORTRAN.sub("e", label)
    return " ".join([first if _is_number(first) else label, *(_FORTRAN.sub("e", value) for value in values)])


def _check_site(number: int, row: str) -> None:
    label, *values = row.split()
    name = f"site {number} ({label}, counted from 0)"
    if len(values) < 3:
        raise InputError(f"{name}: does not have three coordinates")
    for value in values[:3]:
        try:
            # ASE evaluates 6/2/3 as 6/(2/3).
            known = not re.search(r"/[^*+]*/|\^[^*+]*\^", value) and infix_float(_FORTRAN.sub("e", value)) is not None
        except (ArithmeticError, TypeError, ValueError):
            known = False
        if not known:
            raise InputError(
                f"{name}: the coordinate {value} cannot be read: write a number, or a fraction such as 1/3"
            )
