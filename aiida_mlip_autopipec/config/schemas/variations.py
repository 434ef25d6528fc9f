"""Settings of the variations of the user's structures."""

from __future__ import annotations

from pydantic import Field

from .base import NonNegativeFloat, StrictSettings, VolumeRange


class VariationWeights(StrictSettings):
    """Relative shares of the kinds of variation; a crystal, slab, chain or molecule gets only the kinds that suit it."""

    volume: NonNegativeFloat = 1.0
    """Crystals over the range of volumes."""

    strain: NonNegativeFloat = 1.5
    """Crystals, slabs along their plane and chains along their axis, under a random strain."""

    rattle: NonNegativeFloat = 3.0
    """Supercells with atoms displaced at random; molecules with displaced atoms."""

    hot: NonNegativeFloat = 3.0
    """Supercells with displacements as large as in a liquid."""

    vacancy: NonNegativeFloat = 1.0
    """Supercells with an atom missing or, in half of the cases of a compound, one atom of each element."""

    interstitial: NonNegativeFloat = 1.0
    """Supercells with an additional atom at a Voronoi site: a point that is equally far from four or more atoms."""

    antisite: NonNegativeFloat = 1.5
    """Supercells with two atoms of different elements exchanged, or one or two atoms replaced by another element of the run."""

    surface: NonNegativeFloat = 2.0
    """Slabs parallel to planes of low Miller indices, with all terminations; half have the same elements on both faces."""

    cluster: NonNegativeFloat = 1.0
    """Clusters cut out of crystals."""

    stretch: NonNegativeFloat = 2.0
    """Molecules with one of their bonds stretched or compressed."""

    pair: NonNegativeFloat = 2.0
    """Two molecules at different distances and orientations."""


class VariationConfig(StrictSettings):
    """How the user's structures are varied."""

    weights: VariationWeights = VariationWeights()
    """Shares of the kinds of variation."""

    volume_range: VolumeRange = (0.75, 1.4)
    """Smallest and largest volume, relative to the given crystal; within 0.4 to 3."""

    max_miller_index: int = Field(default=1, ge=1, le=3)
    """Largest Miller index of the planes of slabs, 1 to 3."""

    vacuum: float = Field(default=9.0, ge=5.0, le=50.0)
    """Vacuum between slabs, in Å."""
