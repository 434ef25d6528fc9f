"""The start of a nonlinear fit: a part of the linear solution moved to a second density under a square root.

Without anything in that density its coefficients would have no gradient: the linear solution is a saddle of the nonlinear fit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from pyace import ACEBBasisSet

from .linear import Solution
from .problem import Ridge

EMBEDDING = {"npoti": "FinnisSinclairShiftedScaled", "fs_parameters": [1.0, 1.0, 1.0, 0.5], "ndensityi": 2}
"""A linear density and one under a square root (Bochkarev et al., Phys. Rev. Mater. 6, 013804 (2022))."""

PART = 0.5
"""Part of the linear solution that the second density holds, less if its energies are beyond 1 eV an atom: from there on the
square root is nearly straight."""

SLOPE_VARIANCE = 0.5
"""How much the slope of the square root is taken to vary over the atoms: less makes longer steps of the second density."""

RADIAL = 1e-3
"""Inverse curvature along radial coefficients, of which the linear fit knows nothing."""


def part_of_second_density(energy: float) -> float:
    """Return the part of the solution that goes there, for a mean energy (eV) of an atom over that of a free one."""
    return PART / max(1.0, abs(energy))


def slope_of_root(density: float) -> float:
    """Return the derivative of the embedding."""
    decay = np.exp(-abs(density))
    return float((1.0 - decay / 4.0) / (2.0 * np.sqrt(abs(density) + decay / 4.0)) + decay / 2.0)


def with_second_density(linear: Any, part: float, slope: float) -> Any:
    """Return a configuration that is, to first order, the same potential.

    :param linear: the configuration of a linear one.
    :param slope: that of the embedding at the usual density.
    """
    configuration = ACEBBasisSet(linear).to_BBasisConfiguration()
    # pyace hands out copies: what is changed must be set again.
    blocks = configuration.funcspecs_blocks
    for block in blocks:
        functions = block.funcspecs
        for function in functions:
            function.coeffs = [(1.0 - slope * part) * function.coeffs[0], part * function.coeffs[0]]
        block.funcspecs = functions
        for name, value in EMBEDDING.items():
            setattr(block, name, value)
    configuration.funcspecs_blocks = blocks
    return configuration


def scale_of_coefficients(solution: Solution, without: int | None, sum_of_weights: float, slope: float) -> np.ndarray:
    """Return the matrix (n, n) by which pacemaker's coefficients are scaled; those of which no data tell stay as they are.

    In scaled coefficients the curvature of the loss is about that of a sphere. ACE functions are alike and differ in size by
    orders of magnitude: an optimiser would first need as many steps as there are coefficients to learn that.

    :param without: a fold that is left out of the fit.
    :param sum_of_weights: by which pacemaker divides the weights of the linear fit.
    """
    problem, functions = solution.problem, solution.functions(all_pairs=True)
    folds = range(len(problem.factors)) if without is None else problem.others(without)
    products = problem.products(solution.choice.weights, folds, functions)
    fit = Ridge.of_products(products, problem.penalty[functions])
    root = fit.root_of_inverse(solution.choice.ridge) * np.sqrt(sum_of_weights / 2.0)
    place, n_radial = _order_of_pyace(solution, functions)
    densities = np.array([[slope**2 + SLOPE_VARIANCE, -slope], [-slope, 1.0]]) / SLOPE_VARIANCE
    whole = np.sqrt(RADIAL) * np.eye(n_radial + 2 * len(functions))
    whole[n_radial:, n_radial:] = np.kron(root[place], np.linalg.cholesky(densities))
    return np.asarray(whole)


def _order_of_pyace(solution: Solution, functions: np.ndarray) -> tuple[np.ndarray, int]:
    """Return the functions' places (m,) in the order of pyace's coefficients, and how many radial ones stand before these."""
    numbered = ACEBBasisSet(solution.basis.reduced(functions, np.arange(len(functions)) + 1.0))
    coefficients = np.array(numbered.all_coeffs)
    n_radial = len(coefficients) - len(functions)
    return np.round(coefficients[n_radial:]).astype(int) - 1, n_radial
