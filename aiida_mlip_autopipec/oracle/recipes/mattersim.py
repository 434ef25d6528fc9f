"""MatterSim, a foundation model whose weights are downloaded by the package, or named as a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...config.recipes import Recipe

DEFAULT = "mattersim-v1.0.0-5M"


def _weights(parameters: Mapping[str, Any]) -> Sequence[str]:
    model = str(parameters.get("load_path", DEFAULT))
    if Path(model).is_absolute():
        return ()
    return (f"~/.local/mattersim/pretrained_models/{model.removesuffix('.pth')}.pth",)


RECIPE = Recipe(
    title="MatterSim, foundation model (pip install mattersim; weights: a file, or a name to download)",
    parameters={"load_path": DEFAULT},
    settings={"vacuum": 8.0, "structures_per_job": 1000},
    packages=("mattersim",),
    weights=_weights,
    example={"elements": ["Si"]},
)
