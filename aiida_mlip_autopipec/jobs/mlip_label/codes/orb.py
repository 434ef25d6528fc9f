"""Orb; on a GPU if there is one."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from orb_models.forcefield import pretrained
from orb_models.forcefield.calculator import ORBCalculator


def make(**parameters: Any) -> Any:
    """Return a calculator with the model of a name; `weights_path` names a file with its weights."""
    load = getattr(pretrained, parameters.pop("model"))
    device = parameters.pop("device", "cuda" if torch.cuda.is_available() else "cpu")
    own = {name: parameters.pop(name) for name in inspect.signature(load).parameters if name in parameters}
    return ORBCalculator(load(device=device, **own), device=device, **parameters)
