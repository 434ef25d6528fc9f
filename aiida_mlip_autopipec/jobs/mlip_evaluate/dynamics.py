"""Molecular dynamics: NVT, then NVE."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import Stationary
from ase.md.verlet import VelocityVerlet
from ase.neighborlist import neighbor_list
from mlip_common.errors import log
from mlip_common.potential import largest_grade

_RECORDS = 100
"""Approximate number of records of a run."""

_FRICTION = 0.02
"""1/fs"""

_HOTTEST = 50.0
"""Temperature, relative to the target, at which a run is stopped."""


class _StoppedError(Exception):
    """A run has become unphysical."""


class _Recorder:
    def __init__(self, atoms: Atoms, graded: bool, hottest: float) -> None:
        self._atoms, self._graded, self._hottest = atoms, graded, hottest
        self._reach = 1.5 * (2**0.5 * atoms.get_volume() / len(atoms)) ** (1 / 3)
        self.rows: list[tuple[float, float, float, float, float, bool]] = []

    def record(self, time: float, constant_energy: bool) -> None:
        atoms = self._atoms
        energy, temperature = atoms.get_total_energy() / len(atoms), atoms.get_temperature()
        if not np.isfinite(energy) or not np.isfinite(atoms.positions).all():
            raise _StoppedError(f"after {time:.3f} ps the energy is not finite")
        distances = neighbor_list("d", atoms, self._reach)
        closest = float(distances.min()) if len(distances) else self._reach
        grade = largest_grade(atoms.calc) if self._graded else np.nan
        self.rows.append((time, energy, temperature, closest, grade, constant_energy))
        if temperature > self._hottest:
            raise _StoppedError(f"after {time:.3f} ps the temperature is {temperature:.0f} K")


def run_dynamics(start: Atoms, calculator: Any, settings: Mapping[str, Any], seed: int, graded: bool) -> dict[str, Any]:
    """Run NVT and then NVE dynamics; record them at regular intervals, and at the last step of each.

    :param settings: `temperature` (K), `timestep` (fs), `nvt_steps`, `nve_steps`.
    :param graded: whether the calculator gives extrapolation grades.
    :returns: `time` (ps), `total_energy` (eV/atom), `temperature` (K), `closest` distance (Å, up to about 1.5
        neighbour distances), `grade`, `constant_energy`, each (n,); `stopped`: the reason of an early stop, or empty.
    """
    atoms = start.copy()
    atoms.calc = calculator
    random = np.random.RandomState(seed)
    temperature, timestep = settings["temperature"], settings["timestep"] * units.fs
    # In a crystal at rest half of the kinetic energy becomes potential energy: start with twice the temperature.
    widths = np.sqrt(atoms.get_masses() * units.kB * 2 * temperature)
    atoms.set_momenta(random.standard_normal((len(atoms), 3)) * widths[:, None])
    Stationary(atoms)
    recorder = _Recorder(atoms, graded, _HOTTEST * temperature)
    stages = (
        (
            Langevin(
                atoms, timestep, temperature_K=temperature, friction=_FRICTION / units.fs, rng=random, fixcm=False
            ),
            "nvt_steps",
        ),
        (VelocityVerlet(atoms, timestep), "nve_steps"),
    )
    stopped, before = "", 0
    interval = max(1, (settings["nvt_steps"] + settings["nve_steps"]) // _RECORDS)
    try:
        for dynamics, key in stages:
            done, last = 0, settings[key]
            for step in (*range(0, last, interval), last):
                if step > done:
                    dynamics.run(step - done)
                done = step
                time = (before + step) * settings["timestep"] / 1000
                recorder.record(time, key == "nve_steps")
            before += last
    except (_StoppedError, ValueError, RuntimeError, FloatingPointError) as error:
        stopped = str(error) or type(error).__name__
        log(f"dynamics stopped: {stopped}")
    columns = np.array(recorder.rows, dtype=float).reshape(-1, 6).T
    names = ("time", "total_energy", "temperature", "closest", "grade", "constant_energy")
    return {**dict(zip(names, columns, strict=True)), "stopped": np.array(stopped)}
