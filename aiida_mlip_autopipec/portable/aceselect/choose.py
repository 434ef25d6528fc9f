"""The choice: greedy, the structure of most worth next, part after part of the candidates."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from .worth import Measure

REQUIRED = ("isolated_atom", "dimer")
"""Kinds of structure that are always chosen, in this order: the energies are counted from the first, and nothing else tells
what atoms do that come close."""

DIGITS = 9
"""Digits to which worths are compared: less is rounding, and must not decide."""

EQUAL = 1e-8
"""Structures whose functions differ by less than this part are equal but for symmetry, or one is a supercell of the other."""


@dataclass(frozen=True)
class Candidates:
    """Structures to choose from: the means of their functions (s, m), and of each a key that orders those of the same worth,
    its kind and its part."""

    means: np.ndarray
    keys: Sequence[str]
    families: Sequence[str]
    blocks: Sequence[int]


@dataclass(frozen=True)
class Chosen:
    """A chosen structure by its index, why it was chosen, and what it was worth then."""

    index: int
    reason: str
    worth: float


def choose(
    candidates: Candidates, known: np.ndarray, measure: Measure, count: int, per_block: int
) -> tuple[list[Chosen], dict[int, float]]:
    """Return at most `count` candidates in the order of the choice, and what the others are worth beside them.

    The parts are gone through in their order, until there are `per_block` structures more for each, of it and what the parts
    before it left: so a larger count, or further parts, only add to what is chosen. Equal structures are not chosen twice.

    :param known: the means of the functions of structures that count as chosen (k, m).
    """
    chosen: list[Chosen] = []
    twins = _Twins(known, len(candidates.keys))

    def take(queue: _Queue, reason: str, most: int) -> None:
        while len(chosen) < most and (found := queue.take()) is not None:
            twins.add(candidates.means[found[0]])
            chosen.append(Chosen(found[0], reason, found[1]))

    queue = _Queue(candidates, measure, twins)
    blocks = sorted(set(candidates.blocks))
    for number, block in enumerate(blocks, start=1):
        mine = [index for index, one in enumerate(candidates.blocks) if one == block]
        for kind in REQUIRED:
            required = _Queue(candidates, measure)
            required.put(index for index in mine if candidates.families[index] == kind)
            take(required, "required", count)
        queue.put(index for index in mine if candidates.families[index] not in REQUIRED)
        take(queue, measure.reason, count if block == blocks[-1] else min(count, number * per_block))
    left = set(range(len(candidates.keys))) - {one.index for one in chosen}
    return chosen, {index: queue.worth(index) for index in sorted(left)}


class _Queue:
    """Structures, of which the one of most worth is taken.

    Worths only fall as more are taken, so one that is still the largest after it was computed anew is so of all (Minoux, 1978).
    """

    def __init__(self, candidates: Candidates, measure: Measure, twins: _Twins | None = None) -> None:
        """Begin a queue; structures equal to those that were taken before are passed over if `twins` knows of these."""
        self._candidates, self._measure, self._twins = candidates, measure, twins
        self._heap: list[tuple[float, str, int]] = []

    def put(self, indices: Iterable[int]) -> None:
        """Add structures."""
        for index in indices:
            heapq.heappush(self._heap, self._entry(index))

    def take(self) -> tuple[int, float] | None:
        """Take the structure of most worth; return it and its worth, or nothing if none is left."""
        while self._heap:
            _, _, index = heapq.heappop(self._heap)
            if self._has_twin(index):
                continue
            entry = self._entry(index)
            if self._heap and self._heap[0] < entry:
                heapq.heappush(self._heap, entry)
                continue
            worth = self.worth(index)
            self._measure.take(index)
            return index, worth
        return None

    def worth(self, index: int) -> float:
        """Return what a structure is worth now: nothing if it is equal to one that was taken."""
        if self._has_twin(index):
            return 0.0
        return self._measure.worth(index)

    def _entry(self, index: int) -> tuple[float, str, int]:
        return -round(self._measure.worth(index), DIGITS), self._candidates.keys[index], index

    def _has_twin(self, index: int) -> bool:
        return self._twins is not None and self._candidates.means[index] in self._twins


class _Twins:
    """Rows that are known or were chosen, to tell whether another is equal to one of them."""

    def __init__(self, known: np.ndarray, more: int) -> None:
        self._rows = np.vstack([known, np.zeros((more, known.shape[1]))])
        self._sums = np.append(known.sum(axis=1), np.full(more, np.inf))
        self._count = len(known)

    def add(self, row: np.ndarray) -> None:
        """Remember a row."""
        self._rows[self._count], self._sums[self._count] = row, row.sum()
        self._count += 1

    def __contains__(self, row: np.ndarray) -> bool:
        """Tell whether a row is equal to a remembered one; sums that differ spare the comparison of most."""
        tolerance = EQUAL * np.abs(row).max()
        near = np.flatnonzero(np.abs(self._sums - row.sum()) <= tolerance * len(row))
        return bool(len(near)) and bool((np.abs(self._rows[near] - row).max(axis=1) <= tolerance).any())
