"""Plan of a validation: its properties, the structures to label, and the quantities from the labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from ase import Atoms

from ..config.schemas.validation import ValidationConfig
from .crystals import ValidationCrystal, best_compounds, references
from .defects import Surfaces, Vacancies
from .dimer import Dimers
from .dynamics import starts
from .elastic import ElasticConstants
from .equation_of_state import CrystalCurves
from .measurement import Labels, Measurement, Property
from .phonons import Phonons


@dataclass(frozen=True)
class Plan:
    """A validation: its settings, and the crystals at the lattice constants of the validation."""

    crystals: Sequence[ValidationCrystal]
    config: ValidationConfig

    @cached_property
    def _main(self) -> list[ValidationCrystal]:
        """The crystals of which all properties are computed: the phases, else one for each element and pair of elements."""
        phases = [crystal for crystal in self.crystals if crystal.given]
        return phases or [*references(self.crystals), *best_compounds(self.crystals)]

    @cached_property
    def _with_defects(self) -> list[ValidationCrystal]:
        """The crystals with vacancies and surfaces: the phases, else those of the elements."""
        return [crystal for crystal in self._main if crystal.given or len(crystal.elements) == 1]

    @cached_property
    def properties(self) -> list[Property]:
        """The properties, in the order of the report."""
        config, by_element = self.config, {c.elements[0]: c for c in references(self.crystals)}
        limit = config.max_atoms
        found: list[Property] = []
        if config.includes("equation_of_state") or config.includes("surfaces") or config.includes("vacancy"):
            n_each_side = 5 if config.level == "full" else 3
            names = {element: crystal.name for element, crystal in by_element.items()}
            crystals = self.crystals if config.includes("equation_of_state") else self._main
            found.append(
                CrystalCurves(
                    crystals, names, n_each_side, with_atoms=config.includes("dimer"), search_range=config.search_range
                )
            )
        if config.includes("elastic"):
            found += [ElasticConstants(crystal) for crystal in self._main]
        if config.includes("vacancy"):
            found += [Vacancies(crystal, by_element, limit) for crystal in self._with_defects]
        if config.includes("surfaces"):
            found += [Surfaces(crystal, config) for crystal in self._with_defects]
        if config.includes("dimer"):
            found.append(Dimers(sorted({e for crystal in self.crystals for e in crystal.elements})))
        if config.includes("phonons"):
            found += [Phonons(crystal, limit, config.phonon_points) for crystal in self._main]
        return found

    def structures(self) -> dict[str, Atoms]:
        """Return the structures to label, by name; ``atoms.info["family"]`` is the name too."""
        found: dict[str, Atoms] = {}
        for item in self.properties:
            for name, atoms in item.structures().items():
                atoms.info = {"family": name}
                found[name] = atoms
        return found

    def starts(self) -> dict[str, Atoms]:
        """Return the start structures of the MD runs, by name of the crystal."""
        return starts(self._main, self.config) if self.config.includes("dynamics") else {}

    def measure(self, labels: Labels) -> Measurement:
        """Return the quantities and curves of all properties."""
        measurement = Measurement()
        for item in self.properties:
            measurement.extend(item.measure(labels))
        return measurement
