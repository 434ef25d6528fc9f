"""Settings of the curation: which structures enter the dataset, and which are duplicates."""

from __future__ import annotations

from pydantic import Field

from .base import PositiveFloat, StrictSettings


class DuplicateConfig(StrictSettings):
    """Criteria for duplicates."""

    tolerance: float = Field(default=1e-3, ge=1e-5, le=0.1)
    """Largest difference, in Å, between corresponding interatomic distances of two equal structures, 1e-5 to 0.1.
    At the default, structures that differ by random displacements of 0.01 Å or by a strain of 0.1 % are not duplicates."""

    radius: float = Field(default=8.0, gt=0.0, le=20.0)
    """Interatomic distances up to this many Å are compared in periodic structures, at most 20. Keep it above the cutoff
    of the potential: structures that agree up to this radius count as equal."""


class CurationConfig(StrictSettings):
    """Which labelled structures enter the dataset.

    The limits are wide: by default they reject only what comes from a failed calculation (overlapping atoms, forces of an
    unconverged calculation), not unusual structures.
    """

    remove_duplicates: bool = True
    """Keep only the first of equal structures. If `false`, all are kept, and equal structures are put together into either the
    training or the test set."""

    duplicates: DuplicateConfig = DuplicateConfig()
    """Criteria for duplicates."""

    extremes_in_train: bool = True
    """Keep generated dimers, and for each pair of elements the structure with the shortest distance, in the training set: the
    validation compares dimers with the oracle, and no label supports the fit below the shortest distance."""

    label_agreement: PositiveFloat = 5e-3
    """Equal structures whose energies differ by more than this, in eV/atom, are counted as contradicting labels in the
    report. For the same crystal in two different cells, plane-wave DFT differs by about 5e-4 eV/atom."""

    max_force: PositiveFloat | None = 100.0
    """A structure with a larger force on an atom, in eV/Å, is rejected. Bonds compressed by a fifth stay below this even
    in N2; forces beyond it come from unconverged calculations or overlapping cores. No limit if empty."""

    min_distance: float | None = Field(default=0.3, gt=0.0, lt=1.0)
    """A structure with two atoms closer than this fraction of the sum of their covalent radii is rejected. At the
    default (0.3), the atomic cores overlap, and reference methods with pseudopotentials fail. No limit if empty."""

    min_cell_height: float = Field(default=1.0, ge=0.5)
    """A periodic structure whose cell is thinner than this, in Å (at least 0.5), is rejected. The thickness is the
    smallest height of the Minkowski-reduced cell along the periodic directions."""

    max_energy_deviation: PositiveFloat | None = None
    """A structure whose energy, in eV/atom, differs by more than this from the median of its kind (same family, same
    composition, at least five structures) is rejected. No limit if empty (the default): an unusual energy may be correct."""
