"""Special quasi-random structures: small cells whose pair correlations are close to those of a random alloy.

Zunger et al., Phys. Rev. Lett. 65, 353 (1990). The atoms are exchanged by a short Monte Carlo with simulated annealing, van de
Walle et al., Calphad 42, 13 (2013); only pairs of the first shells are considered.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list

from .distances import close_packed_distance

_SHELLS = 2
"""Number of shells of neighbours whose pairs are considered."""

STEPS = 150
"""Number of exchanges; cells of 16 to 32 atoms need no more."""

_HOT, _COLD = 0.02, 0.0005
"""First and last temperature of the annealing, in units of the squared deviation."""


class QuasirandomLattice:
    """A lattice on which atoms are arranged as in a random alloy."""

    def __init__(self, lattice: Atoms) -> None:
        self._lattice, self._shells = lattice, _shell_counts(lattice)

    @property
    def n_sites(self) -> int:
        """The number of sites."""
        return len(self._lattice)

    def arrange(self, symbols: Sequence[str], random: np.random.Generator, steps: int = STEPS) -> Atoms:
        """Return a cell with one of the n symbols on each of the n sites, as randomly as its size allows."""
        kinds, numbers = np.unique(np.array(symbols), return_inverse=True)
        concentrations = np.bincount(numbers) / len(numbers)
        arrangement = self._annealed(random.permutation(numbers), concentrations, random, steps)
        made = self._lattice.copy()
        made.set_chemical_symbols([str(kinds[kind]) for kind in arrangement])
        return made

    def _annealed(
        self, occupation: np.ndarray, concentrations: np.ndarray, random: np.random.Generator, steps: int
    ) -> np.ndarray:
        """Return the best occupation (n,) of a Monte Carlo of exchanges."""
        current = best = _deviation(occupation, self._shells, concentrations)
        found = occupation.copy()
        for step in range(steps):
            pair = random.integers(len(occupation), size=2)
            occupation[pair] = occupation[pair[::-1]]
            changed = _deviation(occupation, self._shells, concentrations)
            temperature = _HOT * (_COLD / _HOT) ** (step / steps)
            if changed > current and random.random() >= np.exp((current - changed) / temperature):
                occupation[pair] = occupation[pair[::-1]]
                continue
            current = changed
            if current < best:
                best, found = current, occupation.copy()
        return found


def pair_deviation(atoms: Atoms) -> float:
    """Return the mean squared deviation of the pair probabilities of the first shells from those of a random alloy."""
    kinds, numbers = np.unique(np.array(atoms.get_chemical_symbols()), return_inverse=True)
    return _deviation(numbers, _shell_counts(atoms), np.bincount(numbers, minlength=len(kinds)) / len(numbers))


def _shell_counts(lattice: Atoms) -> list[np.ndarray]:
    """Return for each of the first shells the numbers (n, n) of pairs between sites, periodic images included."""
    reach = 2.2 * close_packed_distance(lattice)
    first, second, distances = neighbor_list("ijd", lattice, reach)
    radii: list[float] = []
    for distance in np.sort(distances):
        if not radii or distance > 1.05 * radii[-1]:
            radii.append(float(distance))
        if len(radii) > _SHELLS:
            break
    shells = []
    for radius in radii[:_SHELLS]:
        counts = np.zeros((len(lattice), len(lattice)))
        chosen = np.abs(distances - radius) < 0.05 * radius
        np.add.at(counts, (first[chosen], second[chosen]), 1.0)
        shells.append(counts)
    return shells


def _deviation(occupation: np.ndarray, shells: Sequence[np.ndarray], concentrations: np.ndarray) -> float:
    indicator = np.eye(len(concentrations))[occupation]
    expected = np.outer(concentrations, concentrations)
    deviations = [
        np.square(indicator.T @ counts @ indicator / counts.sum() - expected).sum() for counts in shells if counts.sum()
    ]
    # The second shell counts half.
    weights = 0.5 ** np.arange(len(deviations))
    return float(np.dot(weights, deviations)) if deviations else 0.0
