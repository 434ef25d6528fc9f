"""Backward elimination: of a pool of functions, those that matter.

What the removal of a function costs a least-squares fit follows from the fit with it: c^2 / [H^-1] of its coefficient c and
the Hessian H (Hassibi and Stork, Adv. Neural Inf. Process. Syst. 5, 164 (1993), eq. 5). The cheapest tenth goes at a time. A
fold left out tells how the error grows on the way.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.linalg import lapack

from .problem import column_scale

STEP = 0.9
"""Part of the functions that a step keeps."""


def eliminate(
    products: np.ndarray, penalty: np.ndarray, sizes: list[int], ridge: float
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the functions that are left, and their coefficients, for each of some falling sizes.

    :param products: those of the columns of [X | y], (m + 1, m + 1).
    :param penalty: by which each function is held back, (m,).
    :param ridge: ridge strength, relative to the norm of the normal matrix.
    """
    scale = np.append(column_scale(np.sqrt(np.diag(products)[:-1]), penalty), 1.0)
    scaled = products * np.outer(scale, scale)
    normal, target = scaled[:-1, :-1], scaled[:-1, -1]
    floor = ridge * float(np.linalg.norm(normal))
    left = np.arange(len(penalty))
    for size in sizes:
        while True:
            of_left = normal[np.ix_(left, left)]
            np.fill_diagonal(of_left, np.diag(of_left) + floor)
            inverse = _inverse(of_left)
            coefficients = inverse @ target[left]
            if len(left) <= size:
                break
            costs = coefficients**2 / np.diag(inverse)
            kept = max(size, int(STEP * len(left)))
            left = np.sort(left[np.argsort(-costs, kind="stable")[:kept]])
        yield left, scale[left] * coefficients


def falling_sizes(largest: int, smallest: int) -> list[int]:
    """Return sizes from the largest to the smallest, each a step below the last."""
    sizes = [largest]
    while sizes[-1] > smallest:
        sizes.append(max(smallest, int(STEP * sizes[-1])))
    return sizes


def _inverse(matrix: np.ndarray) -> np.ndarray:
    """Return the inverse of a positive definite matrix, which may be written over."""
    # It is symmetric: turned, it lies in memory as LAPACK wants it, and is not copied.
    factor, failed = lapack.dpotrf(matrix.T, lower=1, overwrite_a=1)
    if failed:
        raise np.linalg.LinAlgError("the normal matrix is not positive definite")
    inverse, _ = lapack.dpotri(factor, lower=1, overwrite_c=1)
    lower = np.tril(inverse)
    del inverse
    lower += np.tril(lower, -1).T
    return np.asarray(lower)
