"""Batches of structures: the frames that one job labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

FrameIndex = tuple[str, int]
"""A frame in a namespace of trajectories: (label of the trajectory, step)."""

Batch = Mapping[str, Sequence[Sequence[int]]]
"""Frames as half-open ranges of steps, by label: ``{label: [[first, last + 1], ...]}``."""


def batch_frames(batch: Batch) -> list[FrameIndex]:
    """Return the frames of a batch in the order in which a job labels them."""
    return [(label, step) for label, ranges in batch.items() for first, end in ranges for step in range(first, end)]


def make_batches(frames: Iterable[FrameIndex], size: int) -> list[Batch]:
    """Divide frames into batches of at most `size`, in the given order; frames of one label must be adjacent."""
    remaining = iter(frames)
    batches = []
    while chunk := list(islice(remaining, size)):
        batches.append(_as_ranges(chunk))
    return batches


def _as_ranges(frames: Sequence[FrameIndex]) -> Batch:
    batch: dict[str, list[list[int]]] = {}
    for label, step in frames:
        ranges = batch.setdefault(label, [])
        if ranges and ranges[-1][1] == step:
            ranges[-1][1] = step + 1
        else:
            ranges.append([step, step + 1])
    return batch
