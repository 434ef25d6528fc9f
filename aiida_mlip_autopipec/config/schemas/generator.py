"""Settings of the structure generator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field, model_validator

from .base import NonNegativeFloat, PositiveInt, Seed, StrictSettings, VolumeRange
from .variations import VariationConfig

_COUNT_PER_ELEMENT = 300

Prototype = Literal["fcc", "bcc", "hcp", "sc", "diamond"]


class FamilyWeights(StrictSettings):
    """Relative shares of the kinds of structure."""

    dimer: NonNegativeFloat = 2.0
    """Two atoms, at distances from the smallest allowed one to more than the usual cutoffs."""

    trimer: NonNegativeFloat = 0.0
    """Three atoms at random angles. None by default: a linear fit describes them less well than clusters and crystals."""

    crystal: NonNegativeFloat = 3.0
    """Perfect crystals over the range of volumes."""

    strained: NonNegativeFloat = 3.0
    """Crystals under a random strain."""

    rattled: NonNegativeFloat = 5.0
    """Supercells with atoms displaced at random, from slightly to strongly."""

    vacancy: NonNegativeFloat = 2.0
    """Supercells with an atom missing, slightly rattled."""

    hot: NonNegativeFloat = 4.0
    """Supercells with displacements as large as in a liquid."""

    surface: NonNegativeFloat = 2.0
    """Slabs with vacuum between them, rattled; periodic along all directions."""

    cluster: NonNegativeFloat = 2.0
    """Compact clusters of 4 to 32 atoms, but at most `max_atoms`, cut out of crystals, rattled."""

    random: NonNegativeFloat = 1.0
    """Random symmetric crystals of several elements at compositions spread over all mixtures; most are rattled."""

    @model_validator(mode="after")
    def _some_weight(self) -> FamilyWeights:
        if not any(getattr(self, name) for name in type(self).model_fields):
            raise ValueError("all weights are zero: give at least one kind of structure a positive weight")
        return self


class GeneratorConfig(StrictSettings):
    """Which structures are generated, and how far from equilibrium they are."""

    count: PositiveInt | Literal["auto"] = "auto"
    """Number of structures to label, or `auto`: 300 for each element. With a selection, a pool of `selection.pool` times as
    many is generated."""

    seed: Seed = 42
    """Seed of all random choices: the same settings give the same structures."""

    max_atoms: int = Field(default=32, ge=4, le=10_000)
    """Largest number of atoms in a generated structure, at least 4. Variations of a given structure with more atoms have
    about its size."""

    max_given_atoms: int = Field(default=200, ge=1, le=10_000)
    """Largest number of atoms in a structure given by `structures`. Set it to the largest size that the oracle can label."""

    seed_share: float = Field(default=0.8, ge=0.0, le=1.0)
    """With `structures`: fraction of the generated structures that are variations of those given; the others follow `weights`.
    With 1, nothing else is generated but the free atoms."""

    variations: VariationConfig = VariationConfig()
    """With `structures`: how they are varied."""

    prototypes: tuple[Prototype, ...] = Field(default=("fcc", "bcc", "hcp", "sc", "diamond"), min_length=1)
    """Crystal structures to build, in addition to the reference crystal of each element (its crystal structure in ASE)."""

    volume_range: VolumeRange = (0.75, 1.5)
    """Smallest and largest volume, relative to the estimated equilibrium volume of the crystal; within 0.4 to 3."""

    max_strain: float = Field(default=0.08, ge=0.0, le=0.3)
    """Largest component of a random strain, 0 to 0.3."""

    max_rattle: float = Field(default=0.12, gt=0.0, le=0.4)
    """Largest standard deviation of random displacements, relative to the nearest-neighbour distance, up to 0.4."""

    min_distance_fraction: float = Field(default=0.6, ge=0.3, le=1.0)
    """No two atoms come closer than this fraction of the sum of their covalent radii, 0.3 to 1."""

    weights: FamilyWeights = FamilyWeights()
    """Shares of the kinds of structure."""

    def count_for(self, elements: Sequence[str]) -> int:
        """Return the number of structures to generate for the elements."""
        return _COUNT_PER_ELEMENT * len(elements) if self.count == "auto" else self.count
