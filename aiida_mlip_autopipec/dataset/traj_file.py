"""ASE trajectory files of labelled structures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ase import Atoms
from ase.io.trajectory import Trajectory


def write_traj(path: Path, structures: Iterable[Atoms], description: Mapping[str, Any] | None = None) -> None:
    """Write structures with the results of their calculators, and optionally a description of the file.

    The results must belong to the structures. By default, ASE compares the structure with that of the calculator for each
    property, which takes two thirds of the time.
    """
    with Trajectory(str(path), "w", properties=[]) as file:
        if description is not None:
            file.set_description(dict(description))
        for atoms in structures:
            results = {} if atoms.calc is None else atoms.calc.results
            file.write(atoms, **{name: value for name, value in results.items() if value is not None})
