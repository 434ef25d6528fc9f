"""Samplers: their start, sampling method and limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from mlip_common.errors import ProgramError

NEEDED = {
    "md": ("temperature", "timestep"),
    "melt_quench": ("temperature", "final_temperature", "timestep"),
    "deformation": ("strain",),
    "relaxation": (),
}
"""Parameters that a sampler needs besides its number of steps and its random seed, by kind."""


@dataclass(frozen=True)
class Limits:
    """When a sampler saves a frame, and when it stops."""

    select_grade: float
    """Extrapolation grade from which frames are saved."""

    stop_grade: float
    """Extrapolation grade at which the sampler stops, as the potential is no longer reliable."""

    growth: float
    """Factor by which the grade must grow before another frame is saved."""

    min_distance_fraction: float
    """Atoms closer than this fraction of the sum of their covalent radii are unphysical."""

    hottest: float
    """Largest temperature, relative to that of the thermostat, or to `mlip_explore.monitor.COLDEST` if that is higher."""

    expansion: float
    """Largest volume relative to the start; its inverse is the smallest."""

    save_interval: int | None = None
    """Steps after which a frame is saved whatever its grade; None saves none for this reason."""


@dataclass(frozen=True)
class Sampler:
    """A start structure and how it is sampled."""

    number: int
    kind: str
    """A key of :data:`NEEDED`."""
    family: str
    """Family of the saved frames."""
    start: Atoms
    steps: int
    seed: int
    """Seed of the random numbers."""
    temperature: float | None = None
    """K; of the thermostat."""
    pressure: float | None = None
    """GPa; None keeps the cell fixed."""
    final_temperature: float | None = None
    """K; the thermostat is cooled to it linearly in the second half of the steps."""
    timestep: float = 1.0
    """fs"""
    strain: np.ndarray | None = None
    """(3, 3); the deformation at the end of the path is 1 + strain."""
    rattle: float = 0.0
    """Å; standard deviation of the displacements at each step of a deformation."""

    @property
    def cost(self) -> int:
        """The largest number of atom evaluations."""
        return self.steps * len(self.start)

    def __str__(self) -> str:
        """Return number, family and conditions."""
        conditions = [
            f"{value:g} {unit}"
            for value, unit in ((self.temperature, "K"), (self.pressure, "GPa"))
            if value is not None
        ]
        return f"sampler {self.number} ({', '.join([self.family, *conditions])})"


def read_samplers(frames: list[Atoms]) -> list[Sampler]:
    """Return the samplers that the frames of `walkers.traj` describe in their `info`.

    Files and keys of stored nodes call the samplers walkers.

    :raises ProgramError: of the kind `bad_input`, if a kind is unknown or a parameter is missing.
    """
    samplers = [_sampler(number, atoms) for number, atoms in enumerate(frames)]
    if len({sampler.number for sampler in samplers}) != len(samplers):
        raise ProgramError("bad_input", "several samplers have the same number")
    return samplers


def _sampler(number: int, atoms: Atoms) -> Sampler:
    info: Mapping[str, Any] = atoms.info
    kind = info.get("kind")
    if kind not in NEEDED:
        raise ProgramError("bad_input", f"sampler {number} is of the unknown kind {kind!r}; known: {', '.join(NEEDED)}")
    missing = [key for key in ("steps", "seed", *NEEDED[kind]) if info.get(key) is None]
    if missing:
        raise ProgramError("bad_input", f"sampler {number} ({kind}) lacks {', '.join(missing)}")
    start = atoms.copy()
    start.info = {}
    start.calc = None
    return Sampler(
        number=int(info.get("walker", number)),
        kind=kind,
        family=str(info.get("family", f"explored_{kind}")),
        start=start,
        steps=int(info["steps"]),
        seed=int(info["seed"]),
        temperature=info.get("temperature"),
        pressure=info.get("pressure"),
        final_temperature=info.get("final_temperature"),
        timestep=float(info.get("timestep", 1.0)),
        strain=None if info.get("strain") is None else np.array(info["strain"], dtype=float).reshape(3, 3),
        rattle=float(info.get("rattle", 0.0)),
    )
