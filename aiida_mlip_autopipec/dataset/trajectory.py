"""Structures as AiiDA nodes: ``list[ase.Atoms]`` to ``{label: TrajectoryData}`` and back.

A ``TrajectoryData`` holds one list of symbols and one ``pbc`` for all its frames, so structures are grouped: the label
of a group is the formula plus the periodicity (``Cu2_000``, ``Cu32_111``), its atoms are sorted by species. Only
this module knows the names of the arrays that it adds to those of AiiDA.

Other data of a structure are in ``atoms.info`` (see the comment above :data:`_OPTIONAL_ARRAYS`); its labels are in a
``SinglePointCalculator`` of ASE. Units: Å, eV, eV/Å, eV/Å^3 (ASE's sign; Voigt order xx yy zz yz xz xy).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from aiida.orm import TrajectoryData
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.data import atomic_numbers

from .identity import method_id, structure_key

METHOD, METHOD_ID = "method", "method_id"
"""Attributes of a labelled trajectory: the settings that identify the reference method, and their hash."""

STRUCTURE_KEYS = "structure_keys"
"""Attribute of labels that may be reused: the :func:`~.identity.structure_key` of each frame."""

# The keys of `atoms.info` that are stored in a node: `family`, the kind of structure; `block`, its block of the pool; after
# curation `split` (`train` or `test`) and `group`, the number of its group of equal structures; `source_uuid` and
# `source_step`, the trajectory and step that it was made from; `calculation`, the uuid of the calculation that labelled it; for
# structures from exploration `grade`, the extrapolation grade, and `walker`, the number of the sampler; for the
# user's structures and their variations `origin` (name, file or node, frame); for the user's labelled structures `location`
# (file and frame); for given structures `seed` (their name), `role` and `weight`.

_SOURCES, _CALCULATIONS = "sources", "calculations"

_UUID_ARRAYS = ((_SOURCES, "source_uuid"), (_CALCULATIONS, "calculation"))
"""Array of indices into the list of uuids in the attribute of the same name, and key in ``atoms.info``."""

_COMPLETE_ARRAYS: tuple[tuple[str, str, type], ...] = (
    ("blocks", "block", np.int32),
    ("source_steps", "source_step", np.int32),
    ("splits", "split", str),
    ("groups", "group", np.int32),
)
"""Array, key in ``atoms.info`` and type of data that either all frames of a trajectory have, or none.

In this order they are in the files of jobs: another order would change the content of the files, and AiiDA's hash of them."""

_OPTIONAL_ARRAYS: tuple[tuple[str, str, float | int | str], ...] = (
    ("grades", "grade", np.nan),
    ("walkers", "walker", -1),
    ("origins", "origin", ""),
    ("locations", "location", ""),
    ("seeds", "seed", ""),
    ("roles", "role", ""),
    ("weights", "weight", np.nan),
)
"""Array, key in ``atoms.info`` and fill value for data that only some frames of a trajectory may have."""


_KIND = re.compile(r"([A-Z][a-z]?)[_-]?\d+$")
"""Name of a kind of atom in trajectories of other programs: a symbol and a number, such as Fe1."""


def group_label(atoms: Atoms) -> str:
    """Return the label of the trajectory a structure belongs to, e.g. ``AlCu3_111``."""
    periodicity = "".join(str(int(periodic)) for periodic in atoms.pbc)
    return f"{atoms.get_chemical_formula(mode='hill')}_{periodicity}"


def sort_by_species(atoms: Atoms) -> Atoms:
    """Return a copy with the atoms in alphabetical order of their symbols, labels included."""
    order = np.argsort(atoms.get_chemical_symbols(), kind="stable")
    ordered = Atoms(
        numbers=atoms.numbers[order],
        positions=atoms.positions[order],
        cell=atoms.cell.array.copy(),
        pbc=atoms.pbc,
        info=dict(atoms.info),
    )
    if atoms.calc is not None:
        labels = dict(atoms.calc.results)
        if "forces" in labels:
            labels["forces"] = np.asarray(labels["forces"])[order]
        attach_labels(ordered, labels)
    return ordered


def attach_labels(atoms: Atoms, labels: Mapping[str, float | np.ndarray]) -> Atoms:
    """Attach energy (eV), forces (n, 3) (eV/Å) and, if given, stress (6,) (eV/Å^3) to a structure; return it."""
    given = {name: labels[name] for name in ("energy", "forces", "stress") if name in labels}
    atoms.calc = SinglePointCalculator(atoms, **given)
    return atoms


def to_trajectories(
    structures: Iterable[Atoms], method: Mapping[str, object] | None = None, *, reusable: bool = False
) -> dict[str, TrajectoryData]:
    """Group structures into unstored trajectories.

    :param structures: either all with energy and forces, or none. The order within a group is kept.
    :param method: the settings that identify the reference method.
    :param reusable: whether later runs may reuse these labels.
    :returns: ``{label: TrajectoryData}``, sorted by label, with the arrays ``positions`` (s, n, 3), ``cells`` (s, 3,
        3), ``steps`` (s,), ``families`` (s,); for labelled structures ``energies`` (s,), ``forces`` (s, n, 3) and, if
        any has one, ``stresses`` (s, 6), NaN where there is none; and those of ``atoms.info``.
    :raises ValueError: if a structure has no atoms, or only some structures of one group are labelled.
    """
    groups: dict[str, list[Atoms]] = {}
    for index, atoms in enumerate(structures):
        if len(atoms) == 0:
            raise ValueError(f"structure {index} has no atoms")
        groups.setdefault(group_label(atoms), []).append(sort_by_species(atoms))
    trajectories = {label: _trajectory(label, groups[label], method) for label in sorted(groups)}
    if reusable:
        for label, node in trajectories.items():
            node.base.attributes.set(STRUCTURE_KEYS, [structure_key(atoms) for atoms in groups[label]])
    return trajectories


def _trajectory(label: str, frames: Sequence[Atoms], method: Mapping[str, object] | None) -> TrajectoryData:
    node = TrajectoryData()
    node.label = label
    node.set_trajectory(
        symbols=frames[0].get_chemical_symbols(),
        positions=np.array([atoms.positions for atoms in frames], dtype=float),
        cells=np.array([atoms.cell.array for atoms in frames], dtype=float),
        stepids=np.arange(len(frames)),
        pbc=tuple(bool(periodic) for periodic in frames[0].pbc),
    )
    node.set_array("families", np.array([str(atoms.info.get("family", "unknown")) for atoms in frames]))
    _set_labels(node, label, frames)
    _set_info_arrays(node, frames)
    if method is not None:
        node.base.attributes.set(METHOD, dict(method))
        node.base.attributes.set(METHOD_ID, method_id(method))
    return node


def _set_labels(node: TrajectoryData, label: str, frames: Sequence[Atoms]) -> None:
    labelled = [atoms for atoms in frames if atoms.calc is not None]
    if not labelled:
        return
    if len(labelled) != len(frames):
        raise ValueError(f"{label}: {len(frames) - len(labelled)} of {len(frames)} structures have no labels")
    results = [atoms.calc.results for atoms in frames]
    for index, result in enumerate(results):
        missing = [name for name in ("energy", "forces") if name not in result]
        if missing:
            raise ValueError(f"{label}: structure {index} has no {' and no '.join(missing)}")
    node.set_array("energies", np.array([result["energy"] for result in results], dtype=float))
    node.set_array("forces", np.array([result["forces"] for result in results], dtype=float))
    if any("stress" in result for result in results):
        absent = np.full(6, np.nan)
        node.set_array("stresses", np.array([result.get("stress", absent) for result in results], dtype=float))


def _set_info_arrays(node: TrajectoryData, frames: Sequence[Atoms]) -> None:
    for name, key in _UUID_ARRAYS:
        if all(key in atoms.info for atoms in frames):
            uuids = list(dict.fromkeys(atoms.info[key] for atoms in frames))
            position = {uuid: index for index, uuid in enumerate(uuids)}
            node.base.attributes.set(name, uuids)
            node.set_array(name, np.array([position[atoms.info[key]] for atoms in frames], dtype=np.int32))
    for name, key, kind in _COMPLETE_ARRAYS:
        if all(key in atoms.info for atoms in frames):
            node.set_array(name, np.array([atoms.info[key] for atoms in frames], dtype=kind))
    for name, key, absent in _OPTIONAL_ARRAYS:
        if any(key in atoms.info for atoms in frames):
            values = [atoms.info.get(key, absent) for atoms in frames]
            node.set_array(name, np.array(values, dtype=type(absent)))


def to_atoms(trajectory: TrajectoryData, steps: Sequence[int] | None = None) -> list[Atoms]:
    """Return the frames of a trajectory, with their labels and ``atoms.info``.

    :param steps: indices of the frames to return, in this order; all by default.
    :raises ValueError: if the trajectory, of another program, has a kind of atom that is no element.
    """
    indices = range(trajectory.numsteps) if steps is None else steps
    arrays = {name: trajectory.get_array(name) for name in trajectory.get_arraynames()}
    info_of = _info_arrays(trajectory, arrays)
    symbols, pbc = [_element_of(name) for name in trajectory.symbols], trajectory.pbc
    frames = []
    for index in indices:
        cell = arrays["cells"][index] if "cells" in arrays else None
        atoms = Atoms(symbols, positions=arrays["positions"][index], cell=cell, pbc=pbc)
        atoms.info = {key: values[index].item() for key, values in info_of.items()}
        atoms.info |= {
            key: arrays[name][index].item()
            for name, key, absent in _OPTIONAL_ARRAYS
            if name in arrays and not _is_absent(arrays[name][index].item(), absent)
        }
        if "energies" in arrays:
            labels = {"energy": float(arrays["energies"][index]), "forces": arrays["forces"][index]}
            if "stresses" in arrays and np.isfinite(arrays["stresses"][index]).all():
                labels["stress"] = arrays["stresses"][index]
            attach_labels(atoms, labels)
        frames.append(atoms)
    return frames


def _element_of(kind: str) -> str:
    """Return the element of a kind of atom, which other programs name by a symbol and a number, such as Fe1."""
    if kind in atomic_numbers:
        return kind
    found = _KIND.match(kind)
    if found is None or found[1] not in atomic_numbers:
        raise ValueError(
            f"the kind of atom '{kind}' is neither the symbol of an element nor a symbol followed by a number"
        )
    return found[1]


def _is_absent(value: object, absent: float | int | str) -> bool:
    """Tell whether a value is the fill value; NaN is not equal to itself."""
    return value == absent or (value != value and absent != absent)


def _info_arrays(trajectory: TrajectoryData, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    info = {"family": arrays.get("families", np.full(trajectory.numsteps, "unknown"))}
    for name, key in _UUID_ARRAYS:
        if name in arrays:
            info[key] = np.array(trajectory.base.attributes.get(name))[arrays[name]]
    for name, key, _ in _COMPLETE_ARRAYS:
        if name in arrays:
            info[key] = arrays[name]
    return info


def is_labelled(trajectory: TrajectoryData) -> bool:
    """Tell whether the frames of a trajectory have labels."""
    return "energies" in trajectory.get_arraynames()


def splits_of(trajectory: TrajectoryData) -> list[str]:
    """Return `train` or `test` for each frame of a curated trajectory."""
    splits: list[str] = trajectory.get_array("splits").tolist()
    return splits


def origins_of(trajectory: TrajectoryData) -> set[str]:
    """Return the origins (name, file or node, frame) of the frames that are, or were made from, structures of the user."""
    return set(trajectory.get_array("origins").tolist()) - {""} if "origins" in trajectory.get_arraynames() else set()


def all_frames(trajectories: Mapping[str, TrajectoryData]) -> list[Atoms]:
    """Return the frames of several trajectories in order."""
    return [atoms for trajectory in trajectories.values() for atoms in to_atoms(trajectory)]


def frames_with_source(trajectories: Mapping[str, TrajectoryData]) -> list[Atoms]:
    """Return all frames of several stored trajectories, with their trajectory and step as source in ``atoms.info``."""
    frames = []
    for trajectory in trajectories.values():
        for step, atoms in enumerate(to_atoms(trajectory)):
            atoms.info.update(source_uuid=trajectory.uuid, source_step=step)
            frames.append(atoms)
    return frames
