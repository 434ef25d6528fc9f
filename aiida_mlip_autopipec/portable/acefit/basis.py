"""The ACE basis: which functions, and the potentials made of them."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from acecommon.errors import ExplainedError
from ase.data import atomic_numbers, covalent_radii
from pyace import ACEBBasisSet
from pyace.multispecies_basisextension import create_multispecies_basis_config

from .data import Frame
from .neighbours import neighbours
from .settings import Settings

INNER_WIDTH = 0.1
"""Width (Å) of the switch from the fitted functions to the core repulsion, below the shortest distance of the data."""

MOST_WORK = 60_000
"""An `auto` number of functions times the number of neighbours is at most this: the price of a step with the potential."""


POOL = 2
"""Functions to choose from, in units of those that the potential may have."""


@dataclass(frozen=True)
class Radial:
    """The radial part of a basis: the cutoff (Å) and pyace's name and parameters of the radial functions."""

    cutoff: float
    name: str
    parameters: tuple[float, ...]


def basis_settings(
    settings: Settings, shortest: dict[tuple[str, str], float], radial: Radial, n_functions: int
) -> dict[str, Any]:
    """Return the potential section with what was chosen, and the inner cutoff below the data of each pair."""
    potential = copy.deepcopy(settings.potential)
    functions = potential["functions"]
    functions["number_of_functions_per_element"] = n_functions
    for bond in potential["bonds"].values():
        bond |= {"rcut": radial.cutoff, "radbase": radial.name, "radparameters": list(radial.parameters)}
    if settings.core_repulsion:
        common = potential["bonds"].pop("ALL")
        for first in settings.elements:
            for second in settings.elements:
                pair = (min(first, second), max(first, second))
                inner = shortest.get(pair, 0.7 * _radii_sum(*pair))
                name = first if first == second else first + second
                potential["bonds"][name] = {
                    **common,
                    "r_in": inner,
                    "delta_in": INNER_WIDTH,
                    "core-repulsion": [1.0, 1.0],
                    "inner_cutoff_type": "distance",
                }
    return potential


def _radii_sum(first: str, second: str) -> float:
    return float(covalent_radii[atomic_numbers[first]] + covalent_radii[atomic_numbers[second]])


def choose_numbers_of_functions(settings: Settings, training: Sequence[Frame], cutoff: float) -> tuple[int, int]:
    """Return the number of functions an element of the pool, and of the potential at most.

    The pool is as large as the data carry, up to twice the potential. That has as many as asked for, or as a fast one allows.
    """
    asked, elements = settings.n_functions, settings.elements
    atoms_of = dict.fromkeys(elements, 0)
    for frame in training:
        for symbol in frame.atoms.get_chemical_symbols():
            atoms_of[symbol] += 1
    scarcest = min(atoms_of, key=lambda element: atoms_of[element])
    rows = sum(1 + 3 * len(frame.atoms) for frame in training if frame.first) / len(elements)
    carried = max(5, min(atoms_of[scarcest] // 2, int(rows) // 8))
    if asked != "auto":
        if atoms_of[scarcest] < int(asked):
            raise ExplainedError(
                "too_few_atoms",
                f"{asked} functions an element, but only {atoms_of[scarcest]} atoms of {scarcest} to train on: ask for "
                "fewer functions (n_functions), or label more structures",
            )
        return max(int(asked), min(carried, POOL * int(asked))), int(asked)
    cheap_enough = int(MOST_WORK / max(1.0, _mean_neighbours(training, cutoff)))
    most = max(5, min(carried, cheap_enough, settings.max_functions))
    return min(carried, POOL * most), most


def _mean_neighbours(frames: Sequence[Frame], cutoff: float) -> float:
    """Return the mean number of neighbours of an atom in the periodic structures; in all if there are none."""
    chosen = [frame for frame in frames if frame.atoms.pbc.all()] or frames
    return sum(len(neighbours(frame.atoms, cutoff)[0]) for frame in chosen) / sum(len(frame.atoms) for frame in chosen)


FunctionKey = tuple[int, tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...]]
"""Species of the centre and of the neighbours, radial indices, angular momenta, intermediate ones."""


def complexity_of(key: FunctionKey) -> float:
    """Return the order of a function plus the sums of its radial indices and angular momenta."""
    _, neighbours, radial, angular, _ = key
    return float(len(neighbours) + sum(radial) + sum(angular))


def functions_of(basis_set: Any) -> list[FunctionKey]:
    """Return what names each function of a basis set, in the order of its coefficients."""
    return [
        (f.mu0, tuple(f.mus), tuple(f.ns), tuple(f.ls), tuple(f.LS))
        for one, more in zip(basis_set.basis_rank1, basis_set.basis, strict=True)
        for f in [*one, *more]
    ]


class Basis:
    """The ACE basis: its functions, and the potentials made of some of them."""

    def __init__(self, potential: dict[str, Any]) -> None:
        self.settings = potential
        self._configuration = create_multispecies_basis_config(potential)
        basis_set = ACEBBasisSet(self._configuration)
        self.cutoff = float(basis_set.cutoffmax)
        self.index_of_element: dict[str, int] = dict(basis_set.elements_to_index_map)
        self.functions = functions_of(basis_set)
        self.n_functions = len(self.functions)

    def reduced(self, chosen: Sequence[int] | np.ndarray, coefficients: Sequence[float] | np.ndarray) -> Any:
        """Return the configuration of a potential of some of the functions.

        :param chosen: indices of the functions.
        :param coefficients: their coefficients.
        """
        wanted = {self.functions[index]: value for index, value in zip(chosen, coefficients, strict=True)}
        largest_n = max((max(key[2]) for key in wanted if len(key[2]) > 1), default=1)
        largest_l = max((max(key[3]) for key in wanted), default=0)
        configuration = ACEBBasisSet(self._configuration).to_BBasisConfiguration()
        # pyace hands out copies: what is changed must be set again.
        blocks = configuration.funcspecs_blocks
        for block in blocks:
            kept = []
            for function in block.funcspecs:
                centre, *others = (self.index_of_element[symbol] for symbol in function.elements)
                key = (centre, tuple(others), tuple(function.ns), tuple(function.ls), tuple(function.LS))
                if key in wanted:
                    function.coeffs = [wanted.pop(key)]
                    kept.append(function)
            block.funcspecs = kept
            # pyace's time grows with the ranges, whether they are used or not.
            block.nradmaxi, block.lmaxi = min(block.nradmaxi, largest_n), min(block.lmaxi, largest_l)
            block.radcoefficients = [row[: block.lmaxi + 1] for row in block.radcoefficients[: block.nradmaxi]]
        configuration.funcspecs_blocks = blocks
        if wanted:
            raise RuntimeError(f"{len(wanted)} functions were not found again in their basis")
        return configuration
