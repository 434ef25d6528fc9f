"""SevenNet, a foundation model; the weights of some of its models are in its package."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...config.recipes import Recipe

DEFAULT = "7net-0"

_FOLDERS = {
    "7net-0": "SevenNet_0__11Jul2024",
    "7net-0_11jul2024": "SevenNet_0__11Jul2024",
    "7net-0_22may2024": "SevenNet_0__22May2024",
    "7net-l3i5": "SevenNet_l3i5",
    "7net-mf-0": "SevenNet_MF_0",
    "7net-mf-ompa": "SevenNet_MF_ompa",
    "7net-omat": "SevenNet_omat",
    "7net-omni": "SevenNet_omni",
    "7net-omni-i8": "SevenNet_omni_i8",
    "7net-omni-i12": "SevenNet_omni_i12",
}
"""Folders of the weights in the package, by name of the model."""


def _weights(parameters: Mapping[str, Any]) -> Sequence[str]:
    model = str(parameters.get("model", DEFAULT))
    if Path(model).is_absolute():
        return ()
    folder = _FOLDERS.get(model.lower().replace("sevennet", "7net"), model)
    return (f"sevenn:pretrained_potentials/{folder}/*.pth", f"~/.cache/sevennet/{folder}/*.pth")


RECIPE = Recipe(
    title="SevenNet, foundation model (pip install sevenn)",
    parameters={"model": DEFAULT},
    settings={"vacuum": 8.0, "structures_per_job": 1000, "batch_size": 16},
    packages=("sevenn",),
    weights=_weights,
    example={"elements": ["Si"]},
)
