"""The embedding: one more basis function of each element, approximately the square root of the density of neighbours.

The binding energy of an atom in a metal grows about as the square root of the number of its neighbours (Finnis and Sinclair,
Philos. Mag. A 50, 45 (1984)). Products of a few projections cannot describe this well both in dimers and in crystals. In pyace
the function is the embedding of a second density, which here has fixed coefficients, so that the potential remains linear in
its parameters.
"""

from __future__ import annotations

import numpy as np

NAME = "FinnisSinclairShiftedScaled"
"""The function in pyace: about linear for small densities, so that it is differentiable at zero."""

NAME_WITHOUT_EMBEDDING = "FinnisSinclair"
"""The function in pyace of potentials without embedding: the energy is the density itself."""

EXPONENT = 0.5
"""The exponent in the files of pyace; :func:`embedding` has it built in."""

DENSITY_COEFFICIENT = 4.0
"""Coefficient of the first radial function of each pair in the density, which is then about 1 in a dimer and 20 in a close-
packed crystal, where the square root is not linear."""


def embedding(density: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the function and its derivative for densities of any shape."""
    size = np.abs(density)
    decay = np.exp(-size)
    root = np.sqrt(size + decay / 4.0)
    return np.sign(density) * (root - decay / 2.0), (1.0 - decay / 4.0) / (2.0 * root) + decay / 2.0
