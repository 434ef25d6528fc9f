"""ORCA: the multiplicity of each structure."""

from __future__ import annotations

from typing import Any

from ase import Atoms

from .multiplicity import multiplicity


def adapt(parameters: dict[str, Any], atoms: Atoms | None) -> dict[str, Any]:
    """Return keyword arguments in which `mult: auto` is the multiplicity of the structure."""
    if parameters.get("mult") != "auto" or atoms is None:
        return parameters
    return {**parameters, "mult": multiplicity(atoms, parameters.get("charge", 0))}
