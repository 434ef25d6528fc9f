"""ASE's own calculator of Quantum ESPRESSO, from plain values, as YAML has them."""

from __future__ import annotations

from typing import Any

from ase.calculators.espresso import Espresso, EspressoProfile


def espresso(folder: str, **parameters: Any) -> Espresso:
    return Espresso(profile=EspressoProfile(command="pw.x", pseudo_dir=folder), **parameters)
