"""Convex hull of the energies of formation of given phases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from ase import Atoms

from ..config.schemas.properties import HullSettings
from ..dataset.species import elements_of
from ..validation.hull import energies_above_hull
from .crystals import element_energies, energy
from .model import Line, NotComputableError, Panel, Plot, Property, Result, Value


class Hull(Property):
    """Energy of formation and energy above the convex hull of all given structures."""

    name = "hull"
    Settings = HullSettings

    def measure(self, name: str, structures: Mapping[str, Atoms], calculator: Any) -> Result:
        """Return the two energies (eV/atom); a binary system has a plot."""
        elements = elements_of(structures.values())
        pure = element_energies(structures, calculator)
        missing = [element for element in elements if element not in pure]
        if missing:
            raise NotComputableError(f"the hull needs a crystal of {', '.join(missing)}: add it to the structures")
        formation = {key: _formation(atoms, pure, calculator) for key, atoms in structures.items()}
        atoms = structures[name]
        values = [Value("energy of formation", formation[name] / len(atoms), "eV/atom")]
        if len(elements) == 1:
            return Result(self.name, name, values)
        above = energies_above_hull(
            list(structures.values()), [formation[key] / len(other) for key, other in structures.items()]
        )
        values.append(Value("energy above the hull", above[list(structures).index(name)], "eV/atom"))
        plots = (
            [_plot(structures, formation, elements)] if len(elements) == 2 and name == next(iter(structures)) else []
        )
        return Result(self.name, name, values, plots)


def _formation(atoms: Atoms, pure: Mapping[str, float], calculator: Any) -> float:
    return energy(atoms, calculator) - sum(pure[symbol] for symbol in atoms.symbols)


def _plot(structures: Mapping[str, Atoms], formation: Mapping[str, float], elements: list[str]) -> Plot:
    points = sorted(
        (float(np.mean(np.array(list(atoms.symbols)) == elements[1])), formation[key] / len(atoms), key)
        for key, atoms in structures.items()
    )
    hull: list[tuple[float, float, str]] = []
    for point in points:
        while len(hull) > 1 and _is_above(hull[-2], hull[-1], point):
            hull.pop()
        if not hull or point[0] > hull[-1][0]:
            hull.append(point)
    lines = [Line([x for x, _, _ in hull], [y for _, y, _ in hull], "hull")]
    lines += [Line([x], [y], key, points=True) for x, y, key in points]
    return Plot("convex hull", [Panel(f"fraction of {elements[1]}", "energy of formation (eV/atom)", lines)])


def _is_above(
    first: tuple[float, float, str], middle: tuple[float, float, str], last: tuple[float, float, str]
) -> bool:
    return (middle[1] - first[1]) * (last[0] - first[0]) >= (last[1] - first[1]) * (middle[0] - first[0])
