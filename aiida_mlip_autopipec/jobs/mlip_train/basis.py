"""The ACE basis: its functions, and the potentials built from them."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from mlip_common.errors import ProgramError
from pyace import ACEBBasisSet

from .candidates import candidate_configuration
from .data import Frame
from .embedding import DENSITY_COEFFICIENT, EXPONENT, NAME, NAME_WITHOUT_EMBEDDING
from .neighbours import neighbours
from .plan import AUTO_SECONDS, AUTO_WORKERS, FEWEST, NONLINEAR, TRIALS, affordable_functions
from .repulsion import SWITCH_WIDTH, onset
from .sample import is_large
from .settings import MAX_WORK, FitSettings

CANDIDATE_RATIO = 2
"""Number of candidate functions, relative to the largest number in the potential."""

MAX_CANDIDATES = 4500
"""Largest `auto` number of candidate functions, all elements: the time of their selection grows with the third power."""


@dataclass(frozen=True)
class Radial:
    """The radial part of a basis: cutoff (Å), and name and parameters of the radial functions in pyace."""

    cutoff: float
    name: str
    parameters: tuple[float, ...]


def basis_settings(
    settings: FitSettings, shortest: dict[tuple[str, str], float], radial: Radial, n_functions: int
) -> dict[str, Any]:
    """Return the potential section of the input with the chosen values and the onset of the core repulsion of each pair."""
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
                inner = onset(*pair, shortest.get(pair, math.inf))
                name = first if first == second else first + second
                potential["bonds"][name] = {
                    **common,
                    "r_in": inner,
                    "delta_in": SWITCH_WIDTH * inner,
                    "core-repulsion": [1.0, 1.0],
                    "inner_cutoff_type": "distance",
                }
    return potential


def choose_numbers_of_functions(settings: FitSettings, training: Sequence[Frame], cutoff: float) -> tuple[int, int]:
    """Return the number of candidate functions per element, and the largest number in the potential.

    The numbers of atoms and of labels and the time of the selection limit the candidates, at most twice the functions of
    the potential. The potential has the requested number, or at most the number that its cost and that of the fit allow.

    :raises ProgramError: of the kind `too_few_atoms`.
    """
    requested, elements = settings.n_functions, settings.elements
    atoms_of = dict.fromkeys(elements, 0)
    for frame in training:
        for symbol in frame.atoms.get_chemical_symbols():
            atoms_of[symbol] += 1
    scarcest = min(atoms_of, key=lambda element: atoms_of[element])
    rows = sum(1 + 3 * len(frame.atoms) for frame in training if frame.is_first) / len(elements)
    supported = max(FEWEST, min(atoms_of[scarcest] // 2, int(rows) // 8))
    if requested != "auto":
        if atoms_of[scarcest] < int(requested):
            raise ProgramError(
                "too_few_atoms",
                f"{requested} functions per element, but the training structures have only {atoms_of[scarcest]} atoms of "
                f"{scarcest}: set fewer functions (n_functions), or label more structures",
            )
        return max(int(requested), min(supported, CANDIDATE_RATIO * int(requested))), int(requested)
    affordable = int(MAX_WORK[settings.speed] / max(1.0, _mean_neighbours(training, cutoff)))
    selectable = MAX_CANDIDATES // (CANDIDATE_RATIO * len(elements))
    most = max(FEWEST, min(supported, affordable, selectable, settings.max_functions))
    candidates, atoms = min(supported, CANDIDATE_RATIO * most), sum(atoms_of.values())
    if not is_large(atoms):
        return candidates, most
    return affordable_functions(
        settings, training, atoms, candidates, most, AUTO_WORKERS, AUTO_SECONDS, not_counted=(TRIALS, NONLINEAR)
    )


def _mean_neighbours(frames: Sequence[Frame], cutoff: float) -> float:
    """Return the mean number of neighbours of an atom in the periodic structures, or in all if none is periodic."""
    chosen = [frame for frame in frames if frame.atoms.pbc.all()] or frames
    return sum(len(neighbours(frame.atoms, cutoff)[0]) for frame in chosen) / sum(len(frame.atoms) for frame in chosen)


FunctionKey = tuple[int, tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...]]
"""Species of the central atom and of the neighbours, radial indices n, angular momenta l, intermediate angular momenta L.
The key of an embedding has the central atom and empty tuples."""

FIRST_RADIAL = (1,)
"""Radial indices of the functions of one neighbour whose sum is the density of the embedding."""


def embedding_of(element: int) -> FunctionKey:
    """Return the key of the embedding of an element."""
    return element, (), (), (), ()


def complexity_of(key: FunctionKey) -> float:
    """Return the complexity of a function: its order plus the sums of its radial indices and angular momenta.

    The embedding has the complexity of the first function of one neighbour.
    """
    _, neighbours, radial, angular, _ = key
    return float(len(neighbours) + sum(radial) + sum(angular)) or 1.0 + sum(FIRST_RADIAL)


def functions_of(basis_set: Any) -> list[FunctionKey]:
    """Return the key of each function of a basis set, in the order of the coefficients."""
    return [
        (f.mu0, tuple(f.mus), tuple(f.ns), tuple(f.ls), tuple(f.LS))
        for order_one, higher in zip(basis_set.basis_rank1, basis_set.basis, strict=True)
        for f in [*order_one, *higher]
    ]


def embedding_coefficients(configuration: Any) -> dict[str, float]:
    """Return the coefficient (eV) of the embedding of each element in a linear potential; empty without embedding."""
    return {
        block.elements_vec[0]: block.fs_parameters[2]
        for block in configuration.funcspecs_blocks
        if block.ndensityi == 2 and block.number_of_species == 1
    }


class Basis:
    """An ACE basis. If the potential has two densities, the basis also has an embedding of each element (see `embedding`)."""

    def __init__(self, potential: dict[str, Any], configuration: Any = None) -> None:
        """Create the basis of the settings of a potential.

        :param configuration: an existing potential whose functions are used; `potential` then only identifies the basis.
        """
        self.settings = potential
        self._configuration = candidate_configuration(potential) if configuration is None else configuration
        basis_set = ACEBBasisSet(self._configuration)
        self.cutoff = float(basis_set.cutoffmax)
        self.index_of_element: dict[str, int] = dict(basis_set.elements_to_index_map)
        self.has_embedding = any(block.ndensityi == 2 for block in self._configuration.funcspecs_blocks)
        self.functions = functions_of(basis_set)
        if self.has_embedding:
            self.functions += [embedding_of(element) for element in self.index_of_element.values()]
        self.n_functions = len(self.functions)

    @property
    def of_one_neighbour(self) -> list[int]:
        """The indices of the functions of one neighbour."""
        return [index for index, key in enumerate(self.functions) if len(key[1]) == 1]

    def coefficients(self) -> np.ndarray:
        """Return the coefficients (m,) of the potential from which the basis was created.

        :raises ValueError: if the potential is not linear in them.
        """
        found: dict[FunctionKey, float] = {}
        for block in self._configuration.funcspecs_blocks:
            for function in block.funcspecs:
                key = self._key(function)
                if function.coeffs[1:] != self._of_second_density(key):
                    raise ValueError("is not linear, as its second density was fitted")
                found[key] = function.coeffs[0]
        for symbol, coefficient in embedding_coefficients(self._configuration).items():
            found[embedding_of(self.index_of_element[symbol])] = coefficient
        return np.array([found[key] for key in self.functions])

    def _key(self, function: Any) -> FunctionKey:
        """Return the key of a function of the configuration."""
        centre, *others = (self.index_of_element[symbol] for symbol in function.elements)
        return centre, tuple(others), tuple(function.ns), tuple(function.ls), tuple(function.LS)

    def _of_second_density(self, key: FunctionKey) -> list[float]:
        """Return the coefficients of a function in the densities after the first."""
        if not self.has_embedding:
            return []
        return [DENSITY_COEFFICIENT if key[2] == FIRST_RADIAL else 0.0]

    def _set_densities(self, block: Any, of_embedding: Mapping[int, float]) -> None:
        """Give a block two densities, or one if no element has an embedding.

        :param of_embedding: coefficient (eV) of the embedding by element.
        """
        block.ndensityi = 2 if of_embedding else 1
        if block.number_of_species > 1:
            return
        block.npoti, block.fs_parameters = NAME_WITHOUT_EMBEDDING, [1.0, 1.0]
        if of_embedding:
            coefficient = of_embedding.get(self.index_of_element[block.elements_vec[0]], 0.0)
            block.npoti, block.fs_parameters = NAME, [1.0, 1.0, coefficient, EXPONENT]

    def reduced(self, chosen: Sequence[int] | np.ndarray, coefficients: Sequence[float] | np.ndarray) -> Any:
        """Return the pyace configuration of a potential with a subset of the functions.

        :param chosen: indices of the functions (k,).
        :param coefficients: their coefficients (k,).
        """
        wanted = {self.functions[index]: value for index, value in zip(chosen, coefficients, strict=True)}
        of_embedding = {key[0]: wanted.pop(key) for key in list(wanted) if not key[1]}
        largest_n = max((max(key[2]) for key in wanted if len(key[2]) > 1), default=1)
        largest_l = max((max(key[3]) for key in wanted), default=0)
        configuration = ACEBBasisSet(self._configuration).to_BBasisConfiguration()
        # pyace returns copies: changes must be assigned back.
        blocks = configuration.funcspecs_blocks
        for block in blocks:
            kept = []
            for function in block.funcspecs:
                key = self._key(function)
                second = self._of_second_density(key) if of_embedding else []
                if key in wanted or any(second):
                    function.coeffs = [wanted.pop(key, 0.0), *second]
                    kept.append(function)
            block.funcspecs = kept
            if self.has_embedding:
                self._set_densities(block, of_embedding)
            # The time of an evaluation grows with these ranges even if no function uses them.
            block.nradmaxi, block.lmaxi = min(block.nradmaxi, largest_n), min(block.lmaxi, largest_l)
            block.radcoefficients = [row[: block.lmaxi + 1] for row in block.radcoefficients[: block.nradmaxi]]
        configuration.funcspecs_blocks = blocks
        if wanted:
            raise RuntimeError(f"{len(wanted)} functions were not found in their basis")
        return configuration
