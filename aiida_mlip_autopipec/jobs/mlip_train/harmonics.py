"""Spherical harmonics and their gradients."""

from __future__ import annotations

import math

import numpy as np


def spherical_harmonics(vectors: np.ndarray, largest_l: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the spherical harmonics of directions, and their gradients.

    They are normalised to 4 pi, with the Condon-Shortley phase, as in pyace. Only m >= 0 is returned, as
    Y(l, -m) = (-1)^m conj Y(l, m). Column l (l + 1) / 2 + m is that of (l, m).

    :param vectors: non-zero vectors (p, 3), in Å.
    :return: values (p, c) and gradients (3, p, c), in 1/Å.
    """
    distances = np.linalg.norm(vectors, axis=1)
    x, y, z = (vectors / distances[:, None]).T
    columns = (largest_l + 1) * (largest_l + 2) // 2
    values = np.empty((len(z), columns), dtype=complex)
    gradients = np.empty((3, len(z), columns), dtype=complex)
    legendre = _legendre_derivatives(z, largest_l)
    power, below = np.ones(len(z), dtype=complex), np.zeros(len(z), dtype=complex)
    for m in range(largest_l + 1):
        for l in range(m, largest_l + 1):
            column = l * (l + 1) // 2 + m
            norm = (-1) ** m * math.sqrt((2 * l + 1) * math.factorial(l - m) / math.factorial(l + m))
            values[:, column] = norm * legendre[l][m] * power
            along_x = norm * m * legendre[l][m] * below
            gradients[0, :, column], gradients[1, :, column] = along_x, 1j * along_x
            gradients[2, :, column] = norm * (legendre[l][m + 1] if m < l else 0.0) * power
        below, power = power, power * (x + 1j * y)
    radial = x[:, None] * gradients[0] + y[:, None] * gradients[1] + z[:, None] * gradients[2]
    for axis, component in enumerate((x, y, z)):
        gradients[axis] = (gradients[axis] - component[:, None] * radial) / distances[:, None]
    return values, gradients


def _legendre_derivatives(z: np.ndarray, largest_l: int) -> list[list[np.ndarray]]:
    """Return the m-th derivative of the Legendre polynomial of degree l at [l][m]."""
    derivatives: list[list[np.ndarray]] = []
    for l in range(largest_l + 1):
        row = []
        for m in range(l + 1):
            if m == l:
                row.append(np.full_like(z, math.prod(range(1, 2 * m, 2))))
            elif m == l - 1:
                row.append((2 * m + 1) * z * derivatives[m][m])
            else:
                row.append(((2 * l - 1) * z * derivatives[l - 1][m] - (l + m - 1) * derivatives[l - 2][m]) / (l - m))
        derivatives.append(row)
    return derivatives
