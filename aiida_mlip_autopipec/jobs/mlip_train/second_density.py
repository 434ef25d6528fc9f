"""Initial coefficients of a nonlinear fit: a fraction of the linear solution is moved to a second density.

If the second density, under a square root, were empty, its coefficients would have no gradient: the linear solution is a saddle
point of the nonlinear loss.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from pyace import ACEBBasisSet

from .embedding import EXPONENT, NAME
from .linear import Solution
from .problem import Ridge

EMBEDDING = {"npoti": NAME, "fs_parameters": [1.0, 1.0, 1.0, EXPONENT], "ndensityi": 2}
"""A linear density and a density under a square root (Bochkarev et al., Phys. Rev. Mater. 6, 013804 (2022))."""

FRACTION = 0.5
"""Fraction of the linear solution in the second density; it is smaller for energies beyond 1 eV/atom, where the square root is
nearly linear."""

SLOPE_VARIANCE = 0.5
"""Assumed variance of the slope of the embedding over the atoms: a smaller value gives longer steps in the second density."""

RADIAL = 1e-3
"""Assumed inverse curvature along radial coefficients, which the linear fit does not have."""


def second_density_fraction(energy: float) -> float:
    """Return the fraction of the solution in the second density, for a mean energy (eV/atom) relative to free atoms."""
    return FRACTION / max(1.0, abs(energy))


def with_second_density(linear: Any, fraction: float, slope: float) -> Any:
    """Return a configuration with two densities that is, to first order, the same potential.

    :param linear: configuration of the linear potential.
    :param slope: slope of the embedding at the typical density.
    """
    configuration = ACEBBasisSet(linear).to_BBasisConfiguration()
    # pyace returns copies: changes must be assigned back.
    blocks = configuration.funcspecs_blocks
    for block in blocks:
        functions = block.funcspecs
        for function in functions:
            function.coeffs = [(1.0 - slope * fraction) * function.coeffs[0], fraction * function.coeffs[0]]
        block.funcspecs = functions
        for name, value in EMBEDDING.items():
            setattr(block, name, value)
    configuration.funcspecs_blocks = blocks
    return configuration


def coefficient_scale(solution: Solution, without: int | None, sum_of_weights: float, slope: float) -> np.ndarray:
    """Return the matrix (n, n) that scales the coefficients of pacemaker; coefficients without data do not change.

    In scaled coefficients the Hessian of the loss is about the unit matrix. ACE functions are correlated and differ in size by
    orders of magnitude: without the scale an optimiser needs about as many steps as coefficients to estimate the Hessian.

    :param without: a hold-out fold.
    :param sum_of_weights: sum by which pacemaker divides the weights of the linear fit.
    """
    problem, functions = solution.problem, solution.functions(all_of_one_neighbour=True)
    folds = range(len(problem.factors)) if without is None else problem.folds_except(without)
    normal_matrix = problem.normal_matrix(solution.choice.weights, folds, functions)
    fit = Ridge.of_normal_matrix(normal_matrix, problem.penalty[functions])
    root = fit.root_of_inverse(solution.choice.ridge) * np.sqrt(sum_of_weights / 2.0)
    place, n_radial = _order_of_pyace(solution, functions)
    densities = np.array([[slope**2 + SLOPE_VARIANCE, -slope], [-slope, 1.0]]) / SLOPE_VARIANCE
    scale = np.sqrt(RADIAL) * np.eye(n_radial + 2 * len(functions))
    scale[n_radial:, n_radial:] = np.kron(root[place], np.linalg.cholesky(densities))
    return np.asarray(scale)


def _order_of_pyace(solution: Solution, functions: np.ndarray) -> tuple[np.ndarray, int]:
    """Return the positions (m,) of the functions in the coefficients of pyace, and the number of radial coefficients before."""
    numbered = ACEBBasisSet(solution.basis.reduced(functions, np.arange(len(functions)) + 1.0))
    coefficients = np.array(numbered.all_coeffs)
    n_radial = len(coefficients) - len(functions)
    return np.round(coefficients[n_radial:]).astype(int) - 1, n_radial
