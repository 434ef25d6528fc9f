"""Greedy selection: repeatedly select the candidate of the highest score.

The pool is divided into blocks, parts with all families, which are processed in order, so that a larger count only adds
structures.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from .scores import Score

REQUIRED = ("isolated_atom", "given", "dimer")
"""Families of structures that are always selected, in this order: isolated atoms give the reference energies, the user asked
for the labels of given structures, and only dimers give the energy at short distances."""

DIGITS = 9
"""Digits to which scores are compared, so that rounding errors do not decide."""

DUPLICATE = 1e-8
"""Relative difference of the mean descriptors below which two structures are equal up to symmetry, or one is a supercell of the
other."""


@dataclass(frozen=True)
class Candidates:
    """Structures to select from: mean descriptors (s, m), and for each structure a key that orders equal scores, its family and
    its block."""

    means: np.ndarray
    keys: Sequence[str]
    families: Sequence[str]
    blocks: Sequence[int]


@dataclass(frozen=True)
class Selected:
    """A selected structure: its index, the reason, and its score when it was selected."""

    index: int
    reason: str
    score: float


def select_greedily(
    candidates: Candidates, known: np.ndarray, score: Score, count: int, per_block: int, representative: float = 0.0
) -> tuple[list[Selected], dict[int, float]]:
    """Return at most `count` candidates in the order of selection, and the scores of the others given these.

    The blocks are processed in order. Each adds `per_block` selected structures (the last one as many as are missing), from
    this block and the rest of the earlier ones, so that a larger count, or further blocks, only add structures to a selection.
    Duplicates are not selected, except required structures.

    :param known: mean descriptors (k, m) of structures that count as selected.
    :param representative: fraction of the structures, without the required ones, that are drawn at random.
    """
    selected: list[Selected] = []
    duplicates = _Duplicates(known, len(candidates.keys))
    by_score, at_random = (_Queue(candidates, score, duplicates, at_random=flag) for flag in (False, True))

    def take(queue: _Queue, reason: str) -> bool:
        """Select the next structure of a queue; return whether there was one."""
        found = queue.pop()
        if found is not None:
            duplicates.add(candidates.means[found[0]])
            selected.append(Selected(found[0], reason, found[1]))
        return found is not None

    def fill(most: int) -> None:
        """Select by score and at random in turn, so that a larger number only adds structures."""
        n_random = n_by_score = 0
        while len(selected) < most:
            if n_random + 1 <= representative * (n_random + n_by_score + 1):
                n_random += 1
                is_left = take(at_random, "random")
            else:
                n_by_score += 1
                is_left = take(by_score, score.reason)
            if not is_left:
                break

    blocks = sorted(set(candidates.blocks))
    for number, block in enumerate(blocks, start=1):
        in_block = [index for index, its_block in enumerate(candidates.blocks) if its_block == block]
        for family in REQUIRED:
            required = _Queue(candidates, score)
            required.put(index for index in in_block if candidates.families[index] == family)
            while len(selected) < count and take(required, "required"):
                pass
        others = [index for index in in_block if candidates.families[index] not in REQUIRED]
        by_score.put(others)
        at_random.put(others)
        fill(count if block == blocks[-1] else min(count, number * per_block))
    left = set(range(len(candidates.keys))) - {item.index for item in selected}
    return selected, {index: by_score.score(index) for index in sorted(left)}


class _Queue:
    """A priority queue of structures by score, or in random order.

    Scores only fall as structures are selected, so a score that is still the largest after an update is the largest of all
    (lazy greedy algorithm; Minoux, 1978).
    """

    def __init__(
        self,
        candidates: Candidates,
        score: Score,
        duplicates: _Duplicates | None = None,
        *,
        at_random: bool = False,
    ) -> None:
        """Create an empty queue; if `duplicates` is given, structures equal to a row in it are skipped."""
        self._candidates, self._score, self._duplicates = candidates, score, duplicates
        self._at_random = at_random
        self._heap: list[tuple[float, str, int]] = []

    def put(self, indices: Iterable[int]) -> None:
        """Add structures."""
        for index in indices:
            heapq.heappush(self._heap, self._entry(index))

    def pop(self) -> tuple[int, float] | None:
        """Select the structure of the highest score; return its index and score, or None if none is left."""
        while self._heap:
            _, _, index = heapq.heappop(self._heap)
            if self._is_duplicate(index):
                continue
            entry = self._entry(index)
            if self._heap and self._heap[0] < entry:
                heapq.heappush(self._heap, entry)
                continue
            score = self.score(index)
            self._score.add(index)
            return index, score
        return None

    def score(self, index: int) -> float:
        """Return the current score of a structure: 0 if it is a duplicate."""
        if self._is_duplicate(index):
            return 0.0
        return self._score.score(index)

    def _entry(self, index: int) -> tuple[float, str, int]:
        # The keys are hashes: their order is random.
        priority = 0.0 if self._at_random else -round(self._score.score(index), DIGITS)
        return priority, self._candidates.keys[index], index

    def _is_duplicate(self, index: int) -> bool:
        return self._duplicates is not None and self._candidates.means[index] in self._duplicates


class _Duplicates:
    """Mean descriptors of the known and selected structures, searched for duplicates."""

    def __init__(self, known: np.ndarray, more: int) -> None:
        self._rows = np.vstack([known, np.zeros((more, known.shape[1]))])
        self._sums = np.append(known.sum(axis=1), np.full(more, np.inf))
        self._count = len(known)

    def add(self, row: np.ndarray) -> None:
        """Add a row."""
        self._rows[self._count], self._sums[self._count] = row, row.sum()
        self._count += 1

    def __contains__(self, row: np.ndarray) -> bool:
        """Return whether a row equals a stored one; most rows already differ in their sums."""
        tolerance = DUPLICATE * np.abs(row).max()
        near = np.flatnonzero(np.abs(self._sums - row.sum()) <= tolerance * len(row))
        return bool(len(near)) and bool((np.abs(self._rows[near] - row).max(axis=1) <= tolerance).any())
