"""MACE-MP and other models of MACE, whose weights are downloaded by the package, or named as a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...config.recipes import Recipe

DEFAULT = "medium-mpa-0"

_FILES = {
    "small": "20231210mace128L0_energy_epoch249model",
    "medium": "20231203mace128L1_epoch199model",
    "large": "MACE_MPtrj_20229model",
    "small-0b": "mace_agnesi_smallmodel",
    "medium-0b": "mace_agnesi_mediummodel",
    "small-0b2": "macesmalldensityagnesistressmodel",
    "medium-0b2": "macemediumdensityagnesistressmodel",
    "large-0b2": "macelargedensityagnesistressmodel",
    "medium-0b3": "macemp0b3mediummodel",
    "medium-mpa-0": "macempa0mediummodel",
    "small-omat-0": "maceomat0smallmodel",
    "medium-omat-0": "maceomat0mediummodel",
    "mace-matpes-pbe-0": "MACEmatpespbeomatftmodel",
    "mace-matpes-r2scan-0": "MACEmatpesr2scanomatftmodel",
    "mh-0": "macemh0model",
    "mh-1": "macemh1model",
}
"""Files of the weights in the cache, by name of the model: the names of the downloaded files without punctuation."""


def _weights(parameters: Mapping[str, Any]) -> Sequence[str]:
    model = str(parameters.get("model", DEFAULT))
    return () if Path(model).is_absolute() else (f"~/.cache/mace/{_FILES.get(model, model)}",)


RECIPE = Recipe(
    title="MACE-MP, foundation model (pip install mace-torch; weights: a file, or a name to download)",
    parameters={"model": DEFAULT, "default_dtype": "float64"},
    settings={"vacuum": 8.0, "structures_per_job": 1000},
    packages=("mace",),
    weights=_weights,
    example={"elements": ["Si"]},
)
