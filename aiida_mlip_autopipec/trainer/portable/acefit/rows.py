"""Rows of the design matrix: the functions of a basis on a structure, and their derivatives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from pyace import ACEBBasisSet, ACEBEvaluator, ACECalculator
from pyace.atomicenvironment import aseatoms_to_atomicenvironment

from .basis import Basis, FunctionKey, functions_of

STRAIN_STEP = 1e-6
"""Step of the differences by strain: at 100 GPa an error of 0.05 MPa in the stress, far below that of any label."""

_VOIGT = (0, 1, 2, 1, 0, 0), (0, 1, 2, 2, 2, 1)

GROUP_OVERHEAD = 1000
"""What one more group costs, in the unit of :class:`_Ranges`: measured with 46 neighbours an atom."""


class RowBuilder:
    """Computes the rows of structures.

    pyace's time for derivatives grows with the number of functions times that of all radial indices and angular momenta of
    the basis they are in, though a function of many neighbours uses but the lowest of them. So functions are evaluated in
    groups of like ranges, two to seven times as fast as all together.
    """

    def __init__(self, basis: Basis) -> None:
        self._basis = basis
        self.n_functions = basis.n_functions
        self._whole = _Group(basis, range(basis.n_functions))
        self._groups = [_Group(basis, group) for group in divide(basis.functions)]

    def rows(self, atoms: Atoms) -> tuple[np.ndarray, np.ndarray]:
        """Return of each function its sum over the atoms (m,) and its forces (3n, m)."""
        environment = self._environment(atoms)
        energy, forces = np.empty(self.n_functions), np.empty((len(atoms), 3, self.n_functions))
        for group in self._groups:
            group.compute(environment, gradients=True)
            energy[group.columns] = group.sums(atoms)
            forces[:, :, group.columns] = group.forces().transpose(0, 2, 1)
        return energy, forces.reshape(3 * len(atoms), -1)

    def energy_row(self, atoms: Atoms) -> np.ndarray:
        """Return of each function its sum over the atoms (m,)."""
        energy = np.empty(self.n_functions)
        self._whole.compute(self._environment(atoms), gradients=False)
        energy[self._whole.columns] = self._whole.sums(atoms)
        return energy

    def strain_rows(self, atoms: Atoms, energy: np.ndarray) -> np.ndarray:
        """Return the derivatives of each function's sum by strain, (6, m), in Voigt's order, by finite differences.

        That is far cheaper than to follow forces to the periodic images they act on.

        :param energy: the sums (m,) without strain.
        """
        derivatives = np.empty((6, self.n_functions))
        for row, (first, second) in enumerate(zip(*_VOIGT, strict=True)):
            strain = np.eye(3)
            strain[first, second] += STRAIN_STEP / 2
            strain[second, first] += STRAIN_STEP / 2
            strained = Atoms(atoms.numbers, positions=atoms.positions @ strain, cell=atoms.cell @ strain, pbc=True)
            derivatives[row] = self.energy_row(strained)
        return (derivatives - energy) / STRAIN_STEP

    def _environment(self, atoms: Atoms) -> Any:
        basis = self._basis
        return aseatoms_to_atomicenvironment(atoms, cutoff=basis.cutoff, elements_mapper_dict=basis.index_of_element)


class _Group:
    """Functions that are evaluated together."""

    def __init__(self, basis: Basis, indices: Sequence[int]) -> None:
        wanted = {basis.functions[index]: index for index in indices}
        padded = [*indices, *_padding(basis, indices)]
        # The calculator does not own its evaluator, nor that its set: all must be kept.
        self._set = ACEBBasisSet(basis.reduced(padded, np.zeros(len(padded))))
        self._evaluator = ACEBEvaluator(self._set)
        self._calculator = ACECalculator(self._evaluator)
        self._species = basis.index_of_element
        functions = functions_of(self._set)
        self._n_functions = len(functions)
        self._places = np.array([place for place, key in enumerate(functions) if key in wanted])
        self.columns = np.array([wanted[functions[place]] for place in self._places])

    def compute(self, environment: Any, gradients: bool) -> None:
        """Evaluate the functions."""
        self._calculator.compute(environment, compute_projections=True, compute_b_grad=gradients)

    def sums(self, atoms: Atoms) -> np.ndarray:
        """Return the sum over the atoms of each function computed last."""
        of_element = self._n_functions // len(self._species)
        sums = np.zeros(self._n_functions)
        for symbol, projection in zip(atoms.symbols, self._calculator.projections, strict=False):
            first = of_element * self._species[symbol]
            sums[first : first + of_element] += projection
        return np.asarray(sums[self._places])

    def forces(self) -> np.ndarray:
        """Return the forces (n, m, 3) of what was computed last."""
        return np.asarray(self._calculator.forces_bfuncs)[:, self._places]


def _padding(basis: Basis, indices: Sequence[int]) -> list[int]:
    """Return further functions, so that there are as many of each element, the cheapest ones.

    pyace gives wrong derivatives, and may write beyond its arrays, where elements differ in their number of functions.
    """
    taken, padding = set(indices), []
    counts = np.bincount([basis.functions[index][0] for index in indices], minlength=len(basis.index_of_element))
    for element, count in enumerate(counts):
        rest = [i for i, key in enumerate(basis.functions) if key[0] == element and i not in taken]
        rest.sort(key=lambda i: max(basis.functions[i][2]) * (max(basis.functions[i][3]) + 1) ** 2)
        padding += rest[: max(counts) - count]
    return padding


@dataclass(frozen=True)
class _Ranges:
    """Functions by index, and the largest radial index and angular momentum among them."""

    functions: tuple[int, ...]
    largest_n: int
    largest_l: int

    @property
    def cost(self) -> int:
        """What their evaluation costs."""
        return len(self.functions) * self.largest_n * (self.largest_l + 1) ** 2 + GROUP_OVERHEAD

    def with_(self, other: _Ranges) -> _Ranges:
        """Return both together."""
        largest_n, largest_l = max(self.largest_n, other.largest_n), max(self.largest_l, other.largest_l)
        return _Ranges(self.functions + other.functions, largest_n, largest_l)


def divide(functions: Sequence[FunctionKey]) -> list[tuple[int, ...]]:
    """Divide functions into groups that are cheap to evaluate: merge those of equal ranges as long as the cost falls."""
    by_ranges: dict[tuple[int, int], list[int]] = {}
    for index, (_, _, radial, angular, _) in enumerate(functions):
        # The radial functions of pairs are kept apart by pyace, and cost nothing more.
        by_ranges.setdefault((max(radial) if len(radial) > 1 else 1, max(angular)), []).append(index)
    groups = [_Ranges(tuple(members), *ranges) for ranges, members in by_ranges.items()]
    while len(groups) > 1:
        pairs = [(one, two) for number, one in enumerate(groups) for two in groups[:number]]
        saved, one, two = max(
            ((one.cost + two.cost - one.with_(two).cost, one, two) for one, two in pairs), key=lambda merge: merge[0]
        )
        if saved <= 0:
            break
        groups = [group for group in groups if group not in (one, two)] + [one.with_(two)]
    return [group.functions for group in groups]
