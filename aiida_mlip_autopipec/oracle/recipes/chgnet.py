"""CHGNet, a foundation model whose weights are in its package."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...config.recipes import Recipe

DEFAULT = "0.3.0"


def _weights(parameters: Mapping[str, Any]) -> Sequence[str]:
    model = str(parameters.get("model", DEFAULT))
    # The content of a file that is named by its path is part of the identity in any case.
    return () if Path(model).is_absolute() else (f"chgnet:pretrained/{model}/*.tar",)


RECIPE = Recipe(
    title="CHGNet, foundation model (pip install chgnet)",
    parameters={"model": DEFAULT},
    settings={"vacuum": 8.0, "structures_per_job": 1000, "batch_size": 16},
    packages=("chgnet",),
    weights=_weights,
    example={"elements": ["Si"]},
)
