"""Psi4: the multiplicity of each structure."""

from __future__ import annotations

from typing import Any

from ase import Atoms

from .multiplicity import multiplicity


def adapt(parameters: dict[str, Any], atoms: Atoms | None) -> dict[str, Any]:
    """Return keyword arguments in which `multiplicity: auto` is that of the structure, unrestricted if it is more than 1."""
    if parameters.get("multiplicity") != "auto":
        return parameters
    found = 1 if atoms is None else multiplicity(atoms, parameters.get("charge", 0))
    unrestricted = {"reference": "uks"} if found > 1 else {}
    return {**unrestricted, **parameters, "multiplicity": found}
