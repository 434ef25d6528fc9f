"""The calcfunction that computes properties in this process, with provenance."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from aiida.engine import calcfunction, run_get_node
from aiida.orm import Dict, SinglefileData
from ase import Atoms

from ..config.schemas.properties import PropertiesConfig
from ..dataset.frame_files import frames_file, read_frames
from .calculator import load_calculator
from .compute import compute_properties

_STRUCTURES = "structures.traj"
_show: list[Callable[[str], None]] = []
"""Receivers of the lines about each step; a calcfunction takes nodes only."""


@calcfunction
def measure_properties(
    potential: SinglefileData, settings: Dict, structures: SinglefileData, **own: SinglefileData
) -> Dict:
    """Return the results of the properties of structures, as `results`.

    :param settings: a :class:`PropertiesConfig`, in which `own` is empty.
    :param own: the Python files with properties of the user, `own_0` and so on.
    """
    config = PropertiesConfig.model_validate(settings.get_dict())
    frames = {str(atoms.info["family"]): atoms for atoms in read_frames(structures)}
    show = _show[-1] if _show else lambda line: None
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = {key: folder / f"{key}.py" for key in sorted(own)}
        for key, path in files.items():
            path.write_bytes(own[key].get_content(mode="rb"))
        calculator = _load(potential, folder)
        complete = config.model_copy(update={"own": tuple(str(path) for path in files.values())})
        return Dict({"results": compute_properties(frames, complete, calculator, show)})


def _load(potential: SinglefileData, folder: Path) -> Any:
    """Return the calculator of a potential, which is copied to a folder."""
    path = folder / "potential.yace"
    path.write_bytes(potential.get_content(mode="rb"))
    return load_calculator(path, potential.filename)


def run_properties(
    potential: SinglefileData,
    config: PropertiesConfig,
    structures: Mapping[str, Atoms],
    show: Callable[[str], None] = lambda line: None,
) -> tuple[Sequence[dict[str, Any]], Dict]:
    """Compute properties in this process, and store them with their provenance.

    :returns: the results, and their node.
    :raises UserError: if the potential cannot be loaded.
    """
    with tempfile.TemporaryDirectory() as name:
        _load(potential, Path(name))
    frames = []
    for name, atoms in structures.items():
        frames.append(Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc))
        frames[-1].info["family"] = name
    own = {f"own_{n}": SinglefileData(Path(file).expanduser().resolve()) for n, file in enumerate(config.own)}
    settings = Dict(config.model_copy(update={"own": ()}).model_dump(mode="json"))
    _show.append(show)
    try:
        node, _ = run_get_node(
            measure_properties,
            potential=potential,
            settings=settings,
            structures=frames_file(_STRUCTURES, frames),
            **own,
        )
    finally:
        _show.pop()
    return node["results"], node
