"""The file `input.yaml` of a fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from ..config.schemas.training import TrainingConfig

INPUT, DATASET = "input.yaml", "dataset.traj"
"""Names of the files that `pace_train` reads."""

BLOCKS = ("UNARY", "BINARY", "TERNARY", "QUATERNARY", "QUINARY")
"""Names of the functions between one element, two elements, ..."""

RADIAL_SIZES = {
    "accurate": ((15, 8, 6, 4, 3, 2), (15, 6, 4, 3, 2, 1), (15, 3, 3, 2, 1), (15, 3, 2, 1, 1), (15, 3, 2, 1, 1)),
    "balanced": ((15, 6, 5, 4, 3, 2), (15, 6, 4, 3, 2, 1), (15, 3, 3, 2, 1), (15, 3, 2, 1, 1), (15, 3, 2, 1, 1)),
    "fast": ((15, 4, 4, 3, 2), (15, 4, 3, 2, 1), (15, 3, 2, 1), (15, 3, 2, 1), (15, 3, 2, 1)),
}
"""Numbers of radial functions (nradmax) of each of the :data:`BLOCKS`, by correlation order, starting at 1; larger than in
pacemaker's template at low orders, where more functions help most."""

ANGULAR_SIZES = {
    "accurate": ((0, 6, 5, 3, 2, 1), (0, 4, 3, 2, 1, 0), (0, 2, 2, 1, 1), (0, 2, 2, 1, 1), (0, 2, 2, 1, 1)),
    "balanced": ((0, 4, 4, 3, 2, 1), (0, 4, 3, 2, 1, 0), (0, 2, 2, 1, 1), (0, 2, 2, 1, 1), (0, 2, 2, 1, 1)),
    "fast": ((0, 3, 3, 2, 1), (0, 3, 2, 1, 0), (0, 2, 2, 1), (0, 2, 2, 1), (0, 2, 2, 1)),
}
"""Highest angular momenta (lmax), as :data:`RADIAL_SIZES`. A single function with the largest one makes the potential slower:
all products of radial functions and spherical harmonics up to it are computed for each neighbour."""

EMBEDDINGS = {
    True: {"npot": "FinnisSinclairShiftedScaled", "fs_parameters": [1, 1, 1, 0.5], "ndensity": 2},
    False: {"npot": "FinnisSinclair", "fs_parameters": [1, 1], "ndensity": 1},
}
"""Settings of pyace for two densities, of which the second has fixed coefficients and is under a square root, and for one. The
nonlinear engine starts with one; it adds a second one, and fits its coefficients."""

DEFAULT_CUTOFF = 6.0
"""Cutoff (Å) in the part of the file that pacemaker reads, if it is `auto`, so that `pace_train` chooses it."""


def input_yaml(config: TrainingConfig, elements: Sequence[str]) -> str:
    """Return the `input.yaml` of a fit.

    It is a valid input of upstream's `pacemaker`, which ignores the key `pace_train` with the settings of the program
    `pace_train`.
    """
    cutoff = DEFAULT_CUTOFF if config.cutoff == "auto" else config.cutoff
    n_functions = config.max_functions if config.n_functions == "auto" else config.n_functions
    content = {
        "seed": config.seed,
        "potential": {
            "deltaSplineBins": 0.001,
            "elements": sorted(elements),
            "embeddings": {"ALL": EMBEDDINGS[config.embedding and config.engine == "linear"]},
            "bonds": {
                "ALL": {
                    "radbase": "SBessel",
                    "radparameters": [5.25],
                    "rcut": cutoff,
                    "dcut": 0.01,
                    "NameOfCutoffFunction": "cos",
                }
            },
            "functions": {
                "number_of_functions_per_element": n_functions,
                **{
                    name: {
                        "nradmax_by_orders": list(radial[: config.order]),
                        "lmax_by_orders": list(angular[: config.order]),
                    }
                    for name, radial, angular in list(
                        zip(BLOCKS, RADIAL_SIZES[config.speed], ANGULAR_SIZES[config.speed], strict=True)
                    )[: len(elements)]
                },
            },
        },
        "data": {"filename": "train.pckl.gzip"},
        "fit": {
            "optimizer": "BFGS",
            "maxiter": config.max_epochs,
        },
        "backend": _backend(config),
        "pace_train": config.model_dump(
            mode="json",
            include={
                "engine",
                "cutoff",
                "n_functions",
                "max_functions",
                "speed",
                "energy_weight",
                "force_weight",
                "ridge",
                "core_repulsion",
                "time_limit",
            },
        ),
    }
    return yaml.safe_dump(content, sort_keys=False)


def _backend(config: TrainingConfig) -> dict[str, Any]:
    if config.evaluator == "pyace":
        return {"evaluator": "pyace", "parallel_mode": "serial", "display_step": 20}
    return {"evaluator": "tensorpot", "batch_size": config.batch_size, "display_step": 20}
