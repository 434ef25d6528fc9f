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

USUAL_RADIAL = ((15, 8, 6, 4, 3, 2), (15, 6, 4, 3, 2, 1), (15, 3, 3, 2, 1), (15, 3, 2, 1, 1), (15, 3, 2, 1, 1))
USUAL_ANGULAR = ((0, 6, 5, 3, 2, 1), (0, 4, 3, 2, 1, 0), (0, 2, 2, 1, 1), (0, 2, 2, 1, 1), (0, 2, 2, 1, 1))
"""Numbers of radial functions (nradmax) and highest angular momenta (lmax) of each of the :data:`BLOCKS`, by correlation order,
starting at 1; larger than in pacemaker's template at low orders, where more functions help most."""

FAST_RADIAL = ((15, 4, 4, 3, 2), (15, 4, 3, 2, 1), (15, 3, 2, 1), (15, 3, 2, 1), (15, 3, 2, 1))
FAST_ANGULAR = ((0, 3, 3, 2, 1), (0, 3, 2, 1, 0), (0, 2, 2, 1), (0, 2, 2, 1), (0, 2, 2, 1))
"""The same with `speed: fast`. A single function of large n or l makes a potential slower: all products of radial functions and
spherical harmonics up to these are computed for each neighbour."""

SIZES = {
    "fast": (FAST_RADIAL, FAST_ANGULAR),
    "balanced": (USUAL_RADIAL, USUAL_ANGULAR),
    "accurate": (USUAL_RADIAL, USUAL_ANGULAR),
}
"""Numbers of radial functions and highest angular momenta, by `speed`."""

EMBEDDINGS = {
    True: {"npot": "FinnisSinclairShiftedScaled", "fs_parameters": [1, 1, 1, 0.5], "ndensity": 2},
    False: {"npot": "FinnisSinclair", "fs_parameters": [1, 1], "ndensity": 1},
}
"""Settings of pyace, by whether there is an embedding. With it: two densities, the second with fixed coefficients and under a
square root. Without it: one density. The nonlinear engine starts with one; it adds a second one, and fits its coefficients."""

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
                    for name, radial, angular in list(zip(BLOCKS, *SIZES[config.speed], strict=True))[: len(elements)]
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
                "energy_weight",
                "force_weight",
                "ridge",
                "core_repulsion",
                "time_limit",
            },
        )
        # The default is left out: then stored files of earlier versions, and calculations in the cache, are the same.
        | ({} if config.speed == "balanced" else {"speed": config.speed}),
    }
    return yaml.safe_dump(content, sort_keys=False)


def _backend(config: TrainingConfig) -> dict[str, Any]:
    if config.evaluator == "pyace":
        return {"evaluator": "pyace", "parallel_mode": "serial", "display_step": 20}
    return {"evaluator": "tensorpot", "batch_size": config.batch_size, "display_step": 20}
