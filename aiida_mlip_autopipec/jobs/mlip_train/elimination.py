"""Selection of functions from candidates by backward elimination.

Removing a function raises the loss of a least-squares fit by c_i^2 / [H^-1]_ii, with its coefficient c_i and the Hessian H
(Hassibi and Stork, Adv. Neural Inf. Process. Syst. 5, 164 (1993), eq. 5). Each step removes the tenth of the functions whose
removal raises the loss least.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from scipy.linalg import lapack

from .problem import column_scale

STEP = 0.9
"""Fraction of the functions that a step keeps."""


def eliminate(
    normal_matrix: np.ndarray, penalty: np.ndarray, sizes: Sequence[int], ridge: float
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the remaining functions (k,) and their coefficients (k,) for each of several decreasing sizes.

    :param normal_matrix: [X | y]^T [X | y], (m + 1, m + 1).
    :param penalty: penalty of each function in the prior (m,).
    :param ridge: ridge strength, relative to the norm of the normal matrix. A larger one is used if rounding errors make the
        normal matrix indefinite.
    :raises LinAlgError: if `normal_matrix` is not finite.
    """
    scale = np.append(column_scale(np.sqrt(np.diag(normal_matrix)[:-1]), penalty), 1.0)
    scaled = normal_matrix * np.outer(scale, scale)
    normal, target = scaled[:-1, :-1], scaled[:-1, -1]
    floor = ridge * float(np.linalg.norm(normal))
    remaining = np.arange(len(penalty))
    for size in sizes:
        while True:
            inverse, floor = _regularised_inverse(normal, remaining, floor)
            coefficients = inverse @ target[remaining]
            if len(remaining) <= size:
                break
            costs = coefficients**2 / np.diag(inverse)
            kept = max(size, int(STEP * len(remaining)))
            remaining = np.sort(remaining[np.argsort(-costs, kind="stable")[:kept]])
        yield remaining, scale[remaining] * coefficients


def falling_sizes(largest: int, smallest: int) -> list[int]:
    """Return sizes from the largest to the smallest, one elimination step apart."""
    sizes = [largest]
    while sizes[-1] > smallest:
        sizes.append(max(smallest, int(STEP * sizes[-1])))
    return sizes


def _regularised_inverse(normal: np.ndarray, remaining: np.ndarray, floor: float) -> tuple[np.ndarray, float]:
    """Return the inverse of the normal matrix of the remaining functions with a ridge, and the ridge that made it definite."""
    if not np.isfinite(floor) or floor <= 0.0:
        raise np.linalg.LinAlgError("the normal matrix is not finite, or zero")
    while True:
        submatrix = normal[np.ix_(remaining, remaining)]
        np.fill_diagonal(submatrix, np.diag(submatrix) + floor)
        inverse = _inverse(submatrix)
        if inverse is not None:
            return inverse, floor
        floor *= 10.0


def _inverse(matrix: np.ndarray) -> np.ndarray | None:
    """Return the inverse of a positive definite matrix, which is overwritten, or None if it is not positive definite."""
    # The transpose of a symmetric matrix has the memory order of LAPACK, which avoids a copy.
    factor, failed = lapack.dpotrf(matrix.T, lower=1, overwrite_a=1)
    if failed:
        return None
    inverse, _ = lapack.dpotri(factor, lower=1, overwrite_c=1)
    lower = np.tril(inverse)
    del inverse
    lower += np.tril(lower, -1).T
    return np.asarray(lower)
