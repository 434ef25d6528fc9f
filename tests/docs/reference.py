"""The generator of the reference, which is no part of the package."""

from __future__ import annotations

import importlib.util
from types import ModuleType

from .blocks import ROOT


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "generated_reference", ROOT / "docs" / "_ext" / "generated_reference.py"
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


reference = _load()
