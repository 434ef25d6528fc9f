"""A potential as an ASE calculator: energies that include the free-atom energies, and the expected error of each prediction."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from .config.errors import UserError
from .dataset.dimension import in_periodic_cell
from .properties.calculator import load_calculator

METRICS = "metrics.json"
"""The file of a fit, next to its potential, with the energies of free atoms and the calibration of the expected errors."""


def load(potential: str | Path) -> PotentialCalculator:
    """Return the calculator of a potential.

    :param potential: a `.yace` file, with the `.yaml`, `.asi` and `metrics.json` of its fit in the same folder, as
        `mlip-auto run --output` and `mlip-auto train --output` write them.
    :raises UserError: if a file is missing or cannot be read, or python-ace is not installed.
    """
    path = Path(potential)
    files = [path, path.with_suffix(".yaml"), path.with_suffix(".asi"), path.with_name(METRICS)]
    missing = [str(file) for file in files if not file.is_file()]
    if missing:
        raise UserError(
            f"{', '.join(missing)}: no such file. A calculator needs the files {', '.join(file.name for file in files)} "
            "of a fit in one folder, as `mlip-auto run --output` and `mlip-auto train --output` write them"
        )
    fast, graded = load_calculator(files[0]), load_calculator(files[1])
    graded.set_active_set(str(files[2]))
    return PotentialCalculator(fast, graded, json.loads(files[3].read_text()))


class PotentialCalculator(Calculator):
    """Energy, forces and stress of a potential, with the extrapolation grade and the expected error.

    Additional results, computed only if they are requested by :meth:`get_property`:

    - `grades`: extrapolation grade of each atom (n,); above 1 the potential extrapolates.
    - `expected_energy_error`: eV/atom, one standard deviation.
    - `expected_force_errors`: of a force component of each atom (n,), eV/Å, one standard deviation.

    The expected errors are NaN if the fit had too few structures to calibrate them.
    """

    implemented_properties: ClassVar[list[str]] = [
        "energy",
        "free_energy",
        "forces",
        "stress",
        "grades",
        "expected_energy_error",
        "expected_force_errors",
    ]
    _needing_grades: ClassVar[frozenset[str]] = frozenset({"grades", "expected_energy_error", "expected_force_errors"})

    def __init__(self, fast: Any, graded: Any, metrics: dict[str, Any]) -> None:
        """Create the calculator.

        :param fast: the calculator of the `.yace` file; `graded`: of the `.yaml` with its active set.
        :param metrics: content of `metrics.json`.
        """
        super().__init__()
        self._fast, self._graded = fast, graded
        self._free_atoms: dict[str, float] = metrics["reference_energies_eV"]
        self._calibration: dict[str, Any] = metrics.get("expected_error") or {}

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        """Compute the results.

        :raises UserError: if an element is not one of the potential.
        """
        super().calculate(atoms, list(properties), list(system_changes))
        assert self.atoms is not None
        unknown = sorted(set(self.atoms.symbols) - set(self._free_atoms))
        if unknown:
            raise UserError(
                f"the potential has no element {', '.join(unknown)}; its elements are {', '.join(self._free_atoms)}"
            )
        with_grades = bool(self._needing_grades & set(properties))
        calculator = self._graded if with_grades else self._fast
        # python-ace knows only structures that are periodic in all directions or in none.
        copy = in_periodic_cell(self.atoms, calculator.cutoff) if self.atoms.pbc.any() else self.atoms.copy()
        copy.calc = calculator
        energy = float(copy.get_potential_energy()) + sum(self._free_atoms[symbol] for symbol in copy.symbols)
        self.results = {"energy": energy, "free_energy": energy, "forces": np.array(copy.get_forces())}
        if self.atoms.pbc.all():
            self.results["stress"] = np.array(copy.get_stress())
        if with_grades:
            self._add_grades(np.array(calculator.results["gamma"]))

    def _add_grades(self, grades: np.ndarray) -> None:
        of_structure = np.array([np.sqrt(np.mean(grades**2))])
        self.results["grades"] = grades
        self.results["expected_energy_error"] = float(self._expected("energy_eV_per_atom", of_structure)[0])
        self.results["expected_force_errors"] = self._expected("force_eV_per_A", grades)

    def _expected(self, quantity: str, grades: np.ndarray) -> np.ndarray:
        if not self._calibration:
            return np.full(len(grades), np.nan)
        of_quantity = self._calibration[quantity]
        known = np.maximum(grades, self._calibration["smallest_grade"])
        return np.asarray(of_quantity["scale"] * known ** of_quantity["exponent"])
