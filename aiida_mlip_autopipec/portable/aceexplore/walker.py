"""A walker: where it starts, what it does, and when it ends at the latest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from acecommon.errors import ExplainedError
from ase import Atoms

KINDS = ("md", "deformation", "relaxation")


@dataclass(frozen=True)
class Limits:
    """When a walker hands in a frame, and when it ends."""

    select_grade: float
    """Extrapolation grade from which on a frame is worth a label."""

    stop_grade: float
    """Grade from which on the potential's word is worth nothing."""

    growth: float
    """Factor by which the grade must have grown for another frame."""

    min_distance_fraction: float
    """Atoms closer than this part of the sum of their covalent radii are no matter any more."""

    hottest: float
    """Largest temperature relative to the thermostat's."""

    expansion: float
    """Largest volume relative to the start's, and the inverse of the smallest."""


@dataclass(frozen=True)
class Walker:
    """A start, and what is done with it."""

    number: int
    kind: str
    family: str
    start: Atoms
    steps: int
    seed: int
    temperature: float | None = None
    """K; the thermostat's."""
    pressure: float | None = None
    """GPa; None keeps the cell as it is."""
    timestep: float = 1.0
    """fs"""
    strain: np.ndarray | None = None
    """(3, 3); the deformation at the end of the path is 1 + strain."""
    rattle: float = 0.0
    """Å; standard deviation of the displacements at each step of a deformation."""

    @property
    def cost(self) -> int:
        """Evaluations of an atom, at most."""
        return self.steps * len(self.start)

    def __str__(self) -> str:
        """Say in short what it is."""
        conditions = [
            f"{value:g} {unit}"
            for value, unit in ((self.temperature, "K"), (self.pressure, "GPa"))
            if value is not None
        ]
        return f"walker {self.number} ({', '.join([self.family, *conditions])})"


def read_walkers(frames: list[Atoms]) -> list[Walker]:
    """Return the walkers that the frames of `walkers.traj` describe by their `info`.

    :raises ExplainedError: if one is not described, or nobody knows what it is to do.
    """
    walkers = [_walker(number, atoms) for number, atoms in enumerate(frames)]
    if len({walker.number for walker in walkers}) != len(walkers):
        raise ExplainedError("bad_input", "several walkers have the same number")
    return walkers


def _walker(number: int, atoms: Atoms) -> Walker:
    info: Mapping[str, Any] = atoms.info
    kind = info.get("kind")
    if kind not in KINDS:
        raise ExplainedError("bad_input", f"walker {number} is of the unknown kind {kind!r}; known: {', '.join(KINDS)}")
    needed = {"md": ("temperature", "timestep"), "deformation": ("strain",), "relaxation": ()}[kind]
    missing = [key for key in ("steps", "seed", *needed) if info.get(key) is None]
    if missing:
        raise ExplainedError("bad_input", f"walker {number} ({kind}) does not say its {', '.join(missing)}")
    start = atoms.copy()
    start.info = {}
    start.calc = None
    return Walker(
        number=int(info.get("walker", number)),
        kind=kind,
        family=str(info.get("family", f"explored_{kind}")),
        start=start,
        steps=int(info["steps"]),
        seed=int(info["seed"]),
        temperature=info.get("temperature"),
        pressure=info.get("pressure"),
        timestep=float(info.get("timestep", 1.0)),
        strain=None if info.get("strain") is None else np.array(info["strain"], dtype=float).reshape(3, 3),
        rattle=float(info.get("rattle", 0.0)),
    )
