"""Psi4, for molecules and clusters."""

from __future__ import annotations

from ...config.recipes import Recipe

RECIPE = Recipe(
    title="Psi4, for structures that are not periodic (apt-get install psi4)",
    parameters={"charge": 0, "multiplicity": "auto", "memory": "1000 MB"},
    levels={
        "fast": {"method": "pbe", "basis": "def2-SVP"},
        "balanced": {"method": "pbe0", "basis": "def2-TZVP"},
        "stringent": {"method": "wb97m-v", "basis": "def2-QZVPP"},
    },
    settings={"structures_per_job": 20},
    packages=("ase", "psi4"),
    example={"elements": ["H"]},
)
