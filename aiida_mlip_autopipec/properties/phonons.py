"""Phonon dispersion along the standard path and density of states, by finite displacements (phonopy, seekpath)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from ase import Atoms

from ..config.schemas.properties import PhononSettings
from ..validation.phonons import Displacements
from .crystals import evaluated, repeats
from .model import Line, NotComputableError, Panel, Plot, Property, Result, Value

ACOUSTIC = 1e-3
"""Frequency (THz) up to which modes are left out of thermal sums: the acoustic modes at the zone centre."""

_IMAGINARY = -0.05
"""Frequency (THz) below which a mode counts as imaginary: above are numerical errors at the zone centre."""


def force_constants(crystal: Atoms, calculator: Any, min_length: float) -> Any:
    """Return a `Phonopy` object with the force constants of a crystal."""
    displacements = Displacements(crystal, np.diag(repeats(crystal, min_length)), "displaced")
    return displacements.with_forces(evaluated(displacements.structures(), calculator))


class Phonons(Property):
    """Phonon dispersion along the path of Hinuma et al., Comput. Mater. Sci. 128, 140 (2017), and density of states."""

    name = "phonons"
    Settings = PhononSettings

    def measure(self, name: str, structures: Mapping[str, Atoms], calculator: Any) -> Result:
        """Return the highest and lowest frequency (THz), thermodynamic quantities at 300 K, and the plot."""
        phonopy = force_constants(structures[name], calculator, self.settings.min_length)
        bands, ticks = _bands(phonopy, self.settings.path_points)
        phonopy.run_mesh(self.settings.mesh)
        phonopy.run_total_dos()
        density = phonopy.get_total_dos_dict()
        frequencies = np.concatenate([np.asarray(line.y) for line in bands])
        lowest = float(frequencies.min())
        phonopy.run_thermal_properties(temperatures=[300.0], cutoff_frequency=ACOUSTIC)
        thermal = phonopy.get_thermal_properties_dict()
        n_atoms = len(structures[name])
        values = [
            Value("highest frequency", float(frequencies.max()), "THz"),
            Value("lowest frequency", lowest, "THz"),
            Value("free energy at 300 K", float(thermal["free_energy"][0]) / n_atoms, "kJ/mol/atom"),
            Value("entropy at 300 K", float(thermal["entropy"][0]) / n_atoms, "J/K/mol/atom"),
            Value("heat capacity at 300 K", float(thermal["heat_capacity"][0]) / n_atoms, "J/K/mol/atom"),
        ]
        plot = Plot(
            "phonons",
            [
                Panel("wave vector", "frequency (THz)", bands, ticks, width=3.0),
                Panel("density of states (1/THz)", "", [Line(density["total_dos"], density["frequency_points"])]),
            ],
        )
        notes = [f"imaginary frequencies down to {lowest:.2f} THz"] if lowest < _IMAGINARY else []
        return Result(self.name, name, values, [plot], notes)


def _bands(phonopy: Any, points: int) -> tuple[list[Line], list[tuple[float, str]]]:
    """Return the branches, and the names of the special points with their places on the x axis."""
    from phonopy.phonon.band_structure import get_band_qpoints_by_seekpath

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            paths, names, connected = get_band_qpoints_by_seekpath(phonopy.primitive, points)
    except ImportError as error:
        raise NotComputableError(
            "the path needs seekpath, which comes with pip install 'aiida-mlip-autopipec[properties]'"
        ) from error
    phonopy.run_band_structure(paths, path_connections=connected, labels=names)
    found = phonopy.get_band_structure_dict()
    lines = [
        Line(x, branch, "")
        for x, frequencies in zip(found["distances"], found["frequencies"], strict=True)
        for branch in np.asarray(frequencies).T
    ]
    starts = [float(x[0]) for x in found["distances"]]
    ends = [float(x[-1]) for x in found["distances"]]
    ticks: list[tuple[float, str]] = []
    labels_left = iter(_plain_name(name) for name in names)
    for number, (start, end) in enumerate(zip(starts, ends, strict=True)):
        if number == 0 or not connected[number - 1]:
            first = next(labels_left)
            # Two points at the same place share a tick.
            if ticks and abs(ticks[-1][0] - start) < 1e-9:
                ticks[-1] = (start, f"{ticks[-1][1]}|{first}")
            else:
                ticks.append((start, first))
        ticks.append((end, next(labels_left)))
    return lines, ticks


def _plain_name(label: str) -> str:
    text = label.replace("$", "").replace("\\mathrm", "").replace("{", "").replace("}", "")
    return text.replace("\\Gamma", "Γ").replace("GAMMA", "Γ").replace("\\_", "_").replace("\\", "")
