"""Run upstream's `pacemaker` with an optimiser in scaled coefficients.

    python scaled_pacemaker.py scale.npy [arguments of pacemaker]

`scale.npy` is a matrix (n, n): the coefficients are the initial ones plus this matrix times the optimised variables.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np


def scaled(minimize: Callable[..., Any], scale: np.ndarray) -> Callable[..., Any]:
    """Return scipy's `minimize` in scaled variables, for functions that also return their gradient."""

    def minimize_scaled(
        function: Callable[..., Any], start: Any, *, callback: Callable[..., Any], **options: Any
    ) -> Any:
        initial = np.array(start)

        def unscaled(variables: np.ndarray) -> np.ndarray:
            return np.asarray(initial + scale @ variables)

        def of_scaled(variables: np.ndarray, *arguments: Any) -> tuple[float, np.ndarray]:
            value, gradient = function(unscaled(variables), *arguments)
            return value, scale.T @ gradient

        found = minimize(
            of_scaled, np.zeros(len(initial)), callback=lambda variables: callback(unscaled(variables)), **options
        )
        found.x = unscaled(found.x)
        return found

    return minimize_scaled


if __name__ == "__main__":
    from pyace.cli.pacemaker import main
    from tensorpotential.compat.pace import fit

    fit.minimize = scaled(fit.minimize, np.load(sys.argv.pop(1), allow_pickle=False))
    main()
