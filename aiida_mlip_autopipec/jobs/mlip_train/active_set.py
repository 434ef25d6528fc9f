"""The active set of a potential, from which extrapolation grades are computed.

Lysogorskiy et al., Phys. Rev. Mater. 7, 043801 (2023).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mlip_common.errors import log
from pyace.activelearning import (
    compute_A_active_inverse,
    compute_active_set,
    compute_B_projections,
    save_active_inverse_set,
)

from .data import Frame

ACTIVE_SET_FLOOR = 1e-6
"""Entry of the rows that are added for each function, relative to the length of the column."""

PRIOR_RANGE = 2.0
"""Entry of the added rows if a prior determines the functions, relative to the root mean square of the column: a new
environment has a large grade where a function is far larger than in the data."""

BATCH_ATOMS = 10_000
"""Largest number of atoms in memory at a time."""


def write_active_set(basis_set: Any, training: Sequence[Frame], path: Path, *, prior: bool = False) -> None:
    """Write the inverse of the active set: the environments selected by MaxVol, batch by batch.

    A tiny row along each function is added to the environments. MaxVol selects it only if the environments do not span this
    function; a new environment with a component along it then has a very large extrapolation grade.

    :param prior: whether the potential of a teacher is the prior of the fit: functions that the data do not span are then not
        unknown, and the rows are not tiny.
    """
    elements = sorted(basis_set.elements_to_index_map, key=basis_set.elements_to_index_map.get)
    active: dict[int, np.ndarray] = {}
    for batch in _batches(training):
        active |= _update_active(basis_set, batch, active, prior)
    for species, matrix in active.items():
        missing = int((np.count_nonzero(matrix, axis=1) == 1).sum())
        if missing:
            log(f"the environments of {elements[species]} span {len(matrix) - missing} of {len(matrix)} functions")
    save_active_inverse_set(str(path), compute_A_active_inverse(active), elements_name=elements)


def _update_active(
    basis_set: Any, batch: Sequence[Frame], active: Mapping[int, np.ndarray], prior: bool
) -> dict[int, np.ndarray]:
    """Return the active environments of a batch and the previous active ones, by MaxVol."""
    projections = compute_B_projections(basis_set, [frame.atoms for frame in batch])
    for species in projections:
        matrix = projections[species]
        projections[species] = np.vstack(
            [matrix, active[species] if species in active else _rows_along_functions(matrix, prior)]
        )
    return dict(compute_active_set(projections, tol=1.001, max_iters=300, verbose=False))


def _batches(training: Sequence[Frame]) -> Iterator[list[Frame]]:
    batch: list[Frame] = []
    for frame in training:
        batch.append(frame)
        if sum(len(member.atoms) for member in batch) >= BATCH_ATOMS:
            yield batch
            batch = []
    if batch:
        yield batch


def _rows_along_functions(matrix: Any, prior: bool) -> np.ndarray:
    """Return a row along each function, tiny unless the functions have a prior."""
    lengths = np.linalg.norm(matrix, axis=0)
    size = PRIOR_RANGE / max(1, len(matrix)) ** 0.5 if prior else ACTIVE_SET_FLOOR
    return np.diag(size * np.where(lengths > 0, lengths, lengths.max() or 1.0))
