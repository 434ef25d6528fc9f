"""The ACE basis: which functions, their values and derivatives on a structure."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii
from pyace import ACEBBasisSet, ACEBEvaluator, ACECalculator
from pyace.atomicenvironment import aseatoms_to_atomicenvironment
from pyace.multispecies_basisextension import create_multispecies_basis_config

from .data import Frame
from .errors import TrainingError
from .neighbours import neighbours
from .settings import Settings

INNER_WIDTH = 0.1
"""Width (Å) of the switch from the fitted functions to the core repulsion, below the shortest distance of the data."""

NEIGHBOUR_SHELLS = 2.5
"""An `auto` cutoff in units of the usual distance of nearest neighbours; behind the sixth shell of a close-packed crystal."""

CUTOFF_RANGE = (5.0, 7.5)
"""Shortest and longest `auto` cutoff (Å)."""


def choose_cutoff(asked: float | str, training: Sequence[Frame]) -> float:
    """Return the cutoff (Å): as asked, or a multiple of the median distance of nearest neighbours."""
    if asked != "auto":
        return float(asked)
    nearest: list[float] = []
    for frame in training:
        if len(frame.atoms) == 1 and not frame.atoms.pbc.any():
            continue
        first, _, distances = neighbours(frame.atoms, CUTOFF_RANGE[1])
        shortest = np.full(len(frame.atoms), np.inf)
        np.minimum.at(shortest, first, distances)
        nearest += shortest[np.isfinite(shortest)].tolist()
    if not nearest:
        return CUTOFF_RANGE[1]
    return float(np.clip(round(NEIGHBOUR_SHELLS * float(np.median(nearest)), 1), *CUTOFF_RANGE))


def basis_settings(
    settings: Settings, shortest: dict[tuple[str, str], float], cutoff: float, n_functions: int
) -> dict[str, Any]:
    """Return the potential section with what was chosen, and the inner cutoff below the data of each pair."""
    potential = copy.deepcopy(settings.potential)
    functions = potential["functions"]
    functions["number_of_functions_per_element"] = n_functions
    for bond in potential["bonds"].values():
        bond["rcut"] = cutoff
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


def choose_number_of_functions(settings: Settings, training: Sequence[Frame]) -> int:
    """Return the number of functions an element: as asked, or as many as the data carry."""
    asked, elements = settings.n_functions, settings.elements
    atoms_of = dict.fromkeys(elements, 0)
    for frame in training:
        for symbol in frame.atoms.get_chemical_symbols():
            atoms_of[symbol] += 1
    scarcest = min(atoms_of, key=lambda element: atoms_of[element])
    if asked != "auto":
        if atoms_of[scarcest] < int(asked):
            raise TrainingError(
                "too_few_atoms",
                f"{asked} functions an element, but only {atoms_of[scarcest]} atoms of {scarcest} to train on: ask for "
                "fewer functions (n_functions), or label more structures",
            )
        return int(asked)
    rows = sum(1 + 3 * len(frame.atoms) for frame in training) / len(elements)
    return int(max(5, min(atoms_of[scarcest] // 2, rows // 8, settings.max_functions)))


FunctionKey = tuple[int, tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...]]
"""Species of the centre and of the neighbours, radial indices, angular momenta, intermediate ones."""


def complexity_of(key: FunctionKey) -> float:
    """Return the order of a function plus the sums of its radial indices and angular momenta."""
    _, neighbours, radial, angular, _ = key
    return float(len(neighbours) + sum(radial) + sum(angular))


class Basis:
    """The ACE basis: functions, their design matrix rows, and the potential made of coefficients."""

    def __init__(self, potential: dict[str, Any]) -> None:
        self.settings = potential
        self.configuration = create_multispecies_basis_config(potential)
        self.set = ACEBBasisSet(self.configuration)
        self.n_functions = len(self.set.basis_coeffs)
        self.cutoff = float(self.set.cutoffmax)
        self._evaluator: Any = None
        self._calculator: Any = None
        counts = [len(one) + len(more) for one, more in zip(self.set.basis_rank1, self.set.basis, strict=True)]
        self._first = np.concatenate([[0], np.cumsum(counts)])

    def functions(self) -> list[FunctionKey]:
        """Return what names each function, in the order of the coefficients."""
        return [
            (f.mu0, tuple(f.mus), tuple(f.ns), tuple(f.ls), tuple(f.LS))
            for one, more in zip(self.set.basis_rank1, self.set.basis, strict=True)
            for f in [*one, *more]
        ]

    def reduced(self, chosen: np.ndarray, coefficients: np.ndarray) -> Any:
        """Return the configuration of a basis with some of the functions, and their coefficients.

        :param chosen: indices of the functions.
        """
        keys = self.functions()
        wanted = {keys[index]: value for index, value in zip(chosen, coefficients, strict=True)}
        symbols = sorted(self.set.elements_to_index_map, key=self.set.elements_to_index_map.get)
        configuration = self.set.to_BBasisConfiguration()
        for block in configuration.funcspecs_blocks:
            kept = []
            for function in block.funcspecs:
                centre, *others = (symbols.index(symbol) for symbol in function.elements)
                radial = tuple(function.ns)
                key = (centre, tuple(others), radial, tuple(function.ls), tuple(function.LS))
                if key in wanted:
                    function.coeffs = [wanted.pop(key)]
                    kept.append(function)
            block.funcspecs = kept
        if wanted:
            raise RuntimeError(f"{len(wanted)} functions were not found again in their basis")
        return configuration

    def rows(self, atoms: Atoms) -> tuple[np.ndarray, np.ndarray]:
        """Return of each function its sum over the atoms (m,) and its forces (3n, m)."""
        self._compute(atoms, gradients=True)
        forces = np.asarray(self._calculator.forces_bfuncs)
        return self._sums(atoms), forces.transpose(0, 2, 1).reshape(3 * len(atoms), -1)

    def strain_rows(self, atoms: Atoms) -> np.ndarray:
        """Return the derivatives of each function's sum by strain, (6, m), in Voigt's order, by central differences.

        That is far cheaper than to follow forces to the periodic images they act on.
        """
        derivatives = []
        for first, second in zip(*_VOIGT, strict=True):
            sums = []
            for step in (STRAIN_STEP, -STRAIN_STEP):
                strain = np.eye(3)
                strain[first, second] += step / 2
                strain[second, first] += step / 2
                strained = Atoms(atoms.numbers, positions=atoms.positions @ strain, cell=atoms.cell @ strain, pbc=True)
                self._compute(strained, gradients=False)
                sums.append(self._sums(strained))
            derivatives.append((sums[0] - sums[1]) / (2 * STRAIN_STEP))
        return np.array(derivatives)

    def _compute(self, atoms: Atoms, gradients: bool) -> None:
        if self._calculator is None:
            # The calculator does not own its evaluator: both must be kept.
            self._evaluator = ACEBEvaluator(self.set)
            self._calculator = ACECalculator(self._evaluator)
        index_of = self.set.elements_to_index_map
        environment = aseatoms_to_atomicenvironment(atoms, cutoff=self.cutoff, elements_mapper_dict=index_of)
        self._calculator.compute(environment, compute_projections=True, compute_b_grad=gradients)

    def _sums(self, atoms: Atoms) -> np.ndarray:
        """Return the sum over the atoms of what was computed last."""
        index_of, sums = self.set.elements_to_index_map, np.zeros(self.n_functions)
        for symbol, projection in zip(atoms.symbols, self._calculator.projections, strict=False):
            first = self._first[index_of[symbol]]
            sums[first : first + len(projection)] += projection
        return sums


STRAIN_STEP = 1e-4
"""Step of the central differences: their error is far below that of any label."""

_VOIGT = (0, 1, 2, 1, 0, 0), (0, 1, 2, 2, 2, 1)
