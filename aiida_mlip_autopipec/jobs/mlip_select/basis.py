"""A generic ACE basis for any elements, from their covalent radii alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase.data import atomic_numbers, covalent_radii
from mlip_train.basis import Basis

SHAPES = {
    "UNARY": ((10, 5, 4, 2), (0, 4, 3, 2)),
    "BINARY": ((10, 4, 3, 1), (0, 4, 2, 1)),
    "TERNARY": ((10, 3, 2), (0, 2, 1)),
    "QUATERNARY": ((10, 2, 1), (0, 2, 1)),
}
"""Numbers of radial functions and highest angular momenta, by correlation order from 1, of functions with one element, two, ...

Only low orders: any fit needs these functions."""

SHELLS = 2.1
"""Cutoff in units of the typical bond length (twice the mean covalent radius): beyond the fourth shell of close packing."""

CUTOFF_RANGE = (4.0, 7.0)
"""Shortest and longest cutoff (Å)."""


def generic_basis(elements: Sequence[str], n_functions: int) -> Basis:
    """Return a basis of about `n_functions` functions per element."""
    radii = [covalent_radii[atomic_numbers[element]] for element in elements]
    cutoff = float(np.clip(SHELLS * 2.0 * np.mean(radii), *CUTOFF_RANGE))
    bond = {"radbase": "SBessel", "radparameters": [5.25], "rcut": cutoff, "dcut": 0.01, "NameOfCutoffFunction": "cos"}
    shapes = list(SHAPES.items())[: len(elements)]
    return Basis(
        {
            "deltaSplineBins": 0.001,
            "elements": sorted(elements),
            "embeddings": {"ALL": {"npot": "FinnisSinclair", "fs_parameters": [1, 1], "ndensity": 1}},
            "bonds": {"ALL": bond},
            "functions": {
                "number_of_functions_per_element": n_functions,
                **{
                    name: {"nradmax_by_orders": list(radial), "lmax_by_orders": list(angular)}
                    for name, (radial, angular) in shapes
                },
            },
        }
    )
