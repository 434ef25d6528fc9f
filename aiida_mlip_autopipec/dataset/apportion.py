"""The method of largest remainders."""

from __future__ import annotations

from collections.abc import Sequence
from math import floor


def round_to_sum(values: Sequence[float], total: int) -> list[int]:
    """Return values that sum up to `total` as whole numbers with this sum: those with the largest remainders are rounded up.

    Of equal remainders the first is rounded up first.
    """
    rounded = [floor(value) for value in values]
    by_remainder = sorted(range(len(values)), key=lambda index: rounded[index] - values[index])
    for index in by_remainder[: total - sum(rounded)]:
        rounded[index] += 1
    return rounded
