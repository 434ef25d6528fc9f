"""The settings of a fit, read from `input.yaml`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlip_common.errors import ProgramError
from ruamel.yaml import YAML

ALLOWED_KEYS = {
    "": {"cutoff", "seed", "metadata", "potential", "data", "fit", "backend", "pace_train"},
    "potential": {"deltaSplineBins", "elements", "embeddings", "bonds", "functions"},
    "data": {"filename", "test_filename", "reference_energy"},
    "fit": {"loss", "optimizer", "maxiter", "ladder_step", "ladder_type", "fit_cycles", "trainable_parameters"},
    "fit.loss": {"kappa", "L1_coeffs", "L2_coeffs", "w0_rad", "w1_rad", "w2_rad", "w_orth"},
    "backend": {"evaluator", "batch_size", "display_step", "parallel_mode", "n_workers"},
    "pace_train": {
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
}
"""Allowed keys of `input.yaml`, by section: upstream silently ignores unknown keys."""

MAX_WORK = {"fast": 20_000, "balanced": 60_000, "accurate": 120_000}
"""Largest product of the `auto` number of functions of an element and the mean number of neighbours, by `speed`: it limits the
cost of the potential."""


@dataclass(frozen=True)
class FitSettings:
    """The settings of a fit; `raw` is the content of `input.yaml`."""

    potential: dict[str, Any]
    engine: str = "linear"
    cutoff: float | str = "auto"
    n_functions: int | str = "auto"
    max_functions: int = 1200
    speed: str = "balanced"
    energy_weight: float | str = "auto"
    force_weight: float = 1.0
    ridge: float | str = "auto"
    core_repulsion: bool = True
    time_limit: float | None = None
    raw: dict[str, Any] = field(default_factory=dict)

    @property
    def elements(self) -> list[str]:
        """The elements, in the order of their indices in pyace."""
        return sorted(self.potential["elements"])


def read_settings(path: Path) -> FitSettings:
    """Read and check `input.yaml`.

    :raises ProgramError: of the kind `bad_input`.
    """
    try:
        raw = YAML(typ="safe").load(path)
    except Exception as error:
        raise ProgramError("bad_input", f"{path}: cannot be read: {error}") from error
    if not isinstance(raw, dict) or not isinstance(raw.get("potential"), dict):
        raise ProgramError("bad_input", f"{path}: needs the section 'potential'")
    for section, allowed in ALLOWED_KEYS.items():
        content: Any = raw
        for key in filter(None, section.split(".")):
            content = content.get(key) or {}
        for key in content:
            if key not in allowed:
                where = f"{section}.{key}" if section else key
                raise ProgramError("bad_input", f"{path}: unknown key '{where}'; allowed: {', '.join(sorted(allowed))}")
    reference = (raw.get("data") or {}).get("reference_energy")
    if reference is not None and not isinstance(reference, dict):
        raise ProgramError(
            "bad_input", f"{path}: data.reference_energy must map each element to its energy, got {reference!r}"
        )
    settings = FitSettings(potential=raw["potential"], raw=raw, **(raw.get("pace_train") or {}))
    if settings.engine not in ("linear", "nonlinear"):
        raise ProgramError("bad_input", f"{path}: pace_train.engine is {settings.engine!r}; allowed: linear, nonlinear")
    if settings.speed not in MAX_WORK:
        raise ProgramError(
            "bad_input", f"{path}: pace_train.speed is {settings.speed!r}; allowed: {', '.join(MAX_WORK)}"
        )
    return settings
