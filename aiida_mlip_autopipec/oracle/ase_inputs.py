"""Input of an ASE calculator for each kind of structure; without AiiDA."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ase import Atoms

from ..dataset.dimension import connected_directions, in_periodic_cell
from .pw_inputs import kpoint_mesh


def calculation_kind(atoms: Atoms) -> str:
    """Return the kind of a structure: `bulk`, `slab`, `cluster` or `atom`; a periodic cell may contain vacuum."""
    connected = connected_directions(atoms)
    if connected.any():
        return "bulk" if connected.all() else "slab"
    return "cluster" if len(atoms) > 1 else "atom"


def structure_parameters(atoms: Atoms, method: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keyword arguments of the calculator that a structure has besides the common ones."""
    parameters = dict(method.get("parameters_by_kind", {}).get(calculation_kind(atoms), {}))
    distance = method.get("kpoints_distance")
    keyword = method.get("kpoints_keyword", "kpts")
    if distance is not None and keyword not in parameters and (atoms.pbc.any() or "vacuum" in method):
        parameters[keyword] = list(kpoint_mesh(atoms, distance))
    return parameters


def computed_structure(atoms: Atoms, method: Mapping[str, Any]) -> Atoms:
    """Return a structure as the calculator gets it, with vacuum and initial magnetic moments if these are set."""
    computed = in_periodic_cell(atoms, method["vacuum"]) if "vacuum" in method else atoms.copy()
    moments = method.get("magnetic_moments", {})
    if not moments.keys().isdisjoint(atoms.get_chemical_symbols()):
        computed.set_initial_magnetic_moments([moments.get(symbol, 0.0) for symbol in atoms.get_chemical_symbols()])
    return computed


def job_method(structures: Sequence[Atoms], method: Mapping[str, Any]) -> dict[str, Any]:
    """Return the method of a job for `label_structures`.

    If keyword arguments depend on the structure, `variants` has each of them once, and `kinds` the index of the variant of each
    structure. The program in a stored code reads these keys.
    """
    variants: list[dict[str, Any]] = []
    variant_of_structure = []
    for atoms in structures:
        parameters = structure_parameters(atoms, method)
        if parameters not in variants:
            variants.append(parameters)
        variant_of_structure.append(variants.index(parameters))
    common = {"calculator": method["calculator"], "parameters": method["parameters"]}
    return {**common, "variants": variants, "kinds": variant_of_structure} if any(variants) else common
