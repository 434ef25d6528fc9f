"""GPAW with plane waves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...config.cutoff import Cutoff
from ...config.recipes import Level, Recipe

SOFT = frozenset(
    {
        "Li",
        "Na",
        "K",
        "Rb",
        "Cs",
        "Ca",
        "Sr",
        "Ba",
        "Al",
        "Si",
        "P",
        "S",
        "Ge",
        "As",
        "Se",
        "Sn",
        "Sb",
        "Te",
        "Bi",
        "Pb",
    }
)
"""Elements whose stress agrees with the derivative of the energy at lower cutoffs (eV) than that of all others."""

CUTOFFS: Mapping[Level, tuple[float, float]] = {
    "fast": (300.0, 500.0),
    "balanced": (450.0, 700.0),
    "stringent": (700.0, 1000.0),
}
"""Cutoffs (eV) of runs with soft elements only, and of all others."""


def _mode(elements: Sequence[str], level: Level) -> Mapping[str, Any]:
    soft, hard = CUTOFFS[level]
    return {"mode": {"name": "pw", "ecut": soft if SOFT.issuperset(elements) else hard}}


RECIPE = Recipe(
    title="GPAW (pip install gpaw gpaw-data, with libxc)",
    parameters={"xc": "PBE", "maxiter": 333, "txt": "gpaw.txt"},
    levels={
        "fast": {
            "occupations": {"name": "fermi-dirac", "width": 0.1},
            "convergence": {"energy": 1e-4, "density": 1e-5, "eigenstates": 1e-7},
        },
        "balanced": {
            "occupations": {"name": "fermi-dirac", "width": 0.1},
            "convergence": {"energy": 1e-5, "density": 1e-5, "eigenstates": 1e-8},
        },
        "stringent": {
            "occupations": {"name": "fermi-dirac", "width": 0.05},
            "convergence": {"energy": 1e-5, "density": 1e-6, "eigenstates": 1e-9},
        },
    },
    for_elements=_mode,
    by_kind={"atom": {"hund": True}},
    kpoints={"fast": 0.4, "balanced": 0.22, "stringent": 0.14},
    settings={"vacuum": 5.0, "structures_per_job": 5},
    packages=("gpaw", "gpaw_data"),
    cutoff=Cutoff(
        "mode.ecut",
        "eV",
        (250, 350, 450, 600, 800, 1000),
        lambda value: {"parameters": {"mode": {"name": "pw", "ecut": value}}},
    ),
    example={"elements": ["Si"]},
)
