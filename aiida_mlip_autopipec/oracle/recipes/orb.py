"""Orb, a foundation model whose weights are downloaded by the package, or named as a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...config.recipes import Recipe

DEFAULT = "orb_v3_conservative_inf_omat"


def _weights(parameters: Mapping[str, Any]) -> Sequence[str]:
    # The package names downloaded files by a hash of their address: they are not found by the name of the model.
    path = str(parameters.get("weights_path", ""))
    return () if Path(path).is_absolute() else (path or "weights_path",)


RECIPE = Recipe(
    title="Orb, foundation model (pip install orb-models; weights: weights_path, or downloaded)",
    parameters={"model": DEFAULT, "precision": "float32-highest"},
    settings={"vacuum": 8.0, "structures_per_job": 1000},
    packages=("orb_models",),
    weights=_weights,
    example={"elements": ["Si"]},
)
