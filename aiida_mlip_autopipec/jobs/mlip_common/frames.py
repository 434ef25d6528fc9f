"""Reading of ASE's `.traj` files."""

from __future__ import annotations

from pathlib import Path

from ase import Atoms
from ase.io.trajectory import Trajectory

from .errors import ProgramError


def read_structures(path: Path) -> list[Atoms]:
    """Return all structures of a `.traj` file.

    :raises ProgramError: of the kind `bad_input`, if it cannot be read.
    """
    try:
        with Trajectory(str(path)) as trajectory:
            return list(trajectory)
    except Exception as error:
        raise ProgramError("bad_input", f"{path}: cannot be read as an ASE trajectory: {error}") from error
