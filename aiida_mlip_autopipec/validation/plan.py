"""Plan of a validation: its properties, the structures to label, and the quantities from the labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from ase import Atoms

from ..config.schemas.validation import ValidationConfig
from .crystals import SizedCrystal, best_compounds, references
from .defects import Surfaces, Vacancy
from .dimer import Dimers
from .dynamics import starts
from .elastic import ElasticConstants
from .equation_of_state import CrystalCurves
from .measurement import Labels, Measurement, Property
from .phonons import Phonons


@dataclass(frozen=True)
class Plan:
    """A validation: its settings, and the crystals at the lattice constants of the validation."""

    crystals: Sequence[SizedCrystal]
    config: ValidationConfig

    @cached_property
    def _main(self) -> list[SizedCrystal]:
        """The crystals of which all properties are computed: one for each element and each pair of elements."""
        return [*references(self.crystals), *best_compounds(self.crystals)]

    @cached_property
    def properties(self) -> list[Property]:
        """The properties, in the order of the report."""
        config, pure = self.config, references(self.crystals)
        limit = config.max_atoms
        found: list[Property] = []
        if config.includes("equation_of_state") or config.includes("surfaces"):
            half = 5 if config.level == "full" else 3
            names = {crystal.elements[0]: crystal.name for crystal in pure}
            crystals = self.crystals if config.includes("equation_of_state") else self._main
            found.append(CrystalCurves(crystals, names, half, with_atoms=config.includes("dimer")))
        if config.includes("elastic"):
            found += [ElasticConstants(crystal) for crystal in self._main]
        if config.includes("vacancy"):
            found += [Vacancy(crystal, limit) for crystal in pure]
        if config.includes("surfaces"):
            found += [Surfaces(crystal, limit) for crystal in pure]
        if config.includes("dimer"):
            found.append(Dimers([crystal.elements[0] for crystal in pure]))
        if config.includes("phonons"):
            found += [Phonons(crystal, limit) for crystal in self._main]
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
