"""Melting point by the coexistence of crystal and liquid."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms

from ..config.schemas.properties import MeltingSettings
from ..generator.distances import close_packed_distance
from ..validation.symmetry import conventional
from .dynamics import at_zero_pressure, block_error, check_finite, estimated_melting_point, heat_bath, set_velocities
from .liquid import grown
from .model import Line, NotComputableError, Panel, Plot, Property, Result, Value

_HOT = 2.5
"""Temperature, relative to that of the start, at which one half melts."""

_EVERY = 20
"""Steps between two records of the temperature."""

_CRYSTALLINE = 0.3
"""An atom that moves by less than this part of the interatomic distance between two times is crystalline."""


class Melting(Property):
    """Melting point at zero pressure: half a crystal is melted, then both phases run at constant enthalpy.

    The temperature of the coexistence is the melting point (Morris et al., Phys. Rev. B 49, 3109 (1994)): with the wrong
    temperature at the start one phase grows, and its latent heat changes the temperature. If a phase vanishes, another start is
    made, at the mean of the temperatures of this start and of its end. The error is the standard error of the mean of blocks;
    it does not include the size of the cell.
    """

    name = "melting"
    Settings = MeltingSettings

    def measure(self, name: str, structures: Mapping[str, Atoms], calculator: Any) -> Result:
        """Return the melting point (K) with its error, and the temperature against time."""
        temperature = self.settings.temperature or estimated_melting_point(structures[name], calculator)
        notes: list[str] = []
        for attempt in range(self.settings.attempts):
            times, values, solid = self._coexistence(structures[name], temperature, calculator, attempt)
            last = values[len(values) // 2 :]
            if 0.15 < solid < 0.85:
                found = [Value("melting point", float(last.mean()), "K", block_error(last))]
                found.append(Value("crystalline fraction at the end", solid, ""))
                panel = Panel("time (ps)", "temperature (K)", [Line(times, values)])
                return Result(self.name, name, found, [Plot("melting", [panel])], notes)
            notes.append(f"from {temperature:.0f} K: {'the liquid froze' if solid > 0.5 else 'the crystal melted'}")
            # Frozen: the melting point is above the start, and latent heat has raised the temperature; melted: the opposite.
            temperature = (temperature + float(last.mean())) / 2
        raise NotComputableError(f"no coexistence ({'; '.join(notes)}): set more `atoms`, or another `temperature`")

    def _coexistence(
        self, crystal: Atoms, temperature: float, calculator: Any, attempt: int
    ) -> tuple[np.ndarray, np.ndarray, float]:
        """Return times (ps), temperatures (K), and the crystalline fraction at the end."""
        settings = self.settings
        seed, step = settings.seed + attempt, settings.timestep
        half = grown(conventional(crystal), settings.atoms // 2)
        set_velocities(half, calculator, temperature, seed)
        at_zero_pressure(half, temperature, step).run(settings.steps // 10)
        atoms = half.repeat((1, 1, 2))
        upper = np.arange(len(atoms)) >= len(half)
        set_velocities(atoms, calculator, temperature, seed)
        atoms.set_constraint(FixAtoms(mask=~upper))
        heat_bath(atoms, _HOT * temperature, step, seed).run(settings.steps // 10)
        heat_bath(atoms, temperature, step, seed).run(settings.steps // 20)
        atoms.set_constraint()
        set_velocities(atoms, calculator, temperature, seed)
        at_zero_pressure(atoms, temperature, step, along=(0, 0, 1)).run(settings.steps // 10)
        return self._record(atoms, step)

    def _record(self, atoms: Atoms, timestep: float) -> tuple[np.ndarray, np.ndarray, float]:
        run = at_zero_pressure(atoms, None, timestep, along=(0, 0, 1))
        temperatures, positions = [], []
        n_records = max(10, self.settings.steps // _EVERY)
        for number in range(n_records):
            run.run(_EVERY)
            check_finite(atoms)
            temperatures.append(atoms.get_temperature())
            if number >= 3 * n_records // 4:
                positions.append(atoms.get_positions())
        # Averages over a quarter of the window remove vibrations: crystalline atoms stay, liquid ones diffuse.
        quarter = max(1, len(positions) // 4)
        moved = np.mean(positions[-quarter:], axis=0) - np.mean(positions[:quarter], axis=0)
        moved -= np.median(moved, axis=0)
        solid = float(np.mean(np.linalg.norm(moved, axis=1) < _CRYSTALLINE * close_packed_distance(atoms)))
        times = (np.arange(n_records) + 1) * _EVERY * timestep / 1000
        return times, np.array(temperatures), solid
