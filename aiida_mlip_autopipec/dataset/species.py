"""The elements of structures, and atom labels that are not chemical symbols."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ase import Atoms
from ase.data import atomic_numbers, chemical_symbols

_ISOTOPES = {"D": "deuterium", "T": "tritium"}


def is_element(symbol: str) -> bool:
    """Return whether a text is the symbol of a chemical element; X, which ASE knows as a dummy, is none."""
    return symbol in atomic_numbers and symbol != "X"


def explain_species(label: str) -> str:
    """Return a message on an atom label that is not a chemical symbol, with the symbol to write instead."""
    if label in _ISOTOPES:
        return (
            f"{label} ({_ISOTOPES[label]}) is not a chemical element: write H, which has the same energies and forces"
        )
    if label.isascii() and label.isdigit() and 0 < int(label) < len(chemical_symbols):
        return f"{label} is an atomic number: write the symbol, {chemical_symbols[int(label)]}, instead"
    letters = re.match("[A-Za-z]*", label)
    prefixes = [letters.group()[:length].capitalize() for length in (2, 1)] if letters else []
    suggestion = next(filter(is_element, prefixes), None)
    return f"{label!r:.40} is not a chemical element{f': write {suggestion}' if suggestion else ''}"


def elements_of(structures: Iterable[Atoms]) -> list[str]:
    """Return the elements of structures, sorted."""
    return sorted({symbol for atoms in structures for symbol in atoms.get_chemical_symbols()})
