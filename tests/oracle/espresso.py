"""ASE's calculator of Quantum ESPRESSO, created from values that YAML can hold."""

from __future__ import annotations

from typing import Any

from ase.calculators.espresso import Espresso, EspressoProfile


def espresso(folder: str, **parameters: Any) -> Espresso:
    return Espresso(profile=EspressoProfile(command="pw.x", pseudo_dir=folder), **parameters)
