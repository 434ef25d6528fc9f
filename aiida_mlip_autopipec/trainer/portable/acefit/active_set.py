"""The active set of a potential, from which extrapolation grades are computed.

Lysogorskiy et al., Phys. Rev. Mater. 7, 043801 (2023).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pyace.activelearning import (
    compute_A_active_inverse,
    compute_active_set,
    compute_B_projections,
    save_active_inverse_set,
)

from .data import Frame
from .errors import log

ACTIVE_SET_FLOOR = 1e-6
"""Length, relative to the longest function, of the directions that are added where the data span too few."""


def write_active_set(basis_set: Any, training: Sequence[Frame], path: Path) -> None:
    """Write the inverse of the active set: the environments that span the training data (MaxVol).

    Where the environments span fewer directions than there are functions, tiny ones are added: an environment that has a
    part there has a very large extrapolation grade, as it should.
    """
    elements = sorted(basis_set.elements_to_index_map, key=basis_set.elements_to_index_map.get)
    projections = compute_B_projections(basis_set, [frame.atoms for frame in training])
    for species, matrix in projections.items():
        lengths = np.linalg.norm(matrix, axis=0)
        scaled = matrix / np.where(lengths > 0, lengths, 1.0)
        rank = int(np.linalg.matrix_rank(scaled, tol=ACTIVE_SET_FLOOR))
        if rank < matrix.shape[1]:
            log(f"the environments of {elements[species]} span {rank} of {matrix.shape[1]} functions")
            floor = ACTIVE_SET_FLOOR * np.where(lengths > 0, lengths, lengths.max() or 1.0)
            projections[species] = np.vstack([matrix, np.diag(floor)])
    active = compute_A_active_inverse(compute_active_set(projections, tol=1.001, max_iters=300, verbose=False))
    save_active_inverse_set(str(path), active, elements_name=elements)
