"""How a potential is let go to find what it does not know."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from .base import Settings


class WalkerCounts(Settings):
    """Numbers of walkers of each kind in a round."""

    nvt: NonNegativeInt = 6
    """Molecular dynamics of crystals at constant volume, from compressed to stretched."""

    npt: NonNegativeInt = 6
    """Molecular dynamics of crystals at constant pressure."""

    vacancy: NonNegativeInt = 3
    """Molecular dynamics of crystals with an atom missing."""

    surface: NonNegativeInt = 3
    """Molecular dynamics of slabs."""

    cluster: NonNegativeInt = 3
    """Molecular dynamics of clusters in vacuum."""

    deformation: NonNegativeInt = 6
    """Crystals that are stretched, compressed and sheared step by step."""

    relaxation: NonNegativeInt = 9
    """Random symmetric crystals, relaxed together with their cells."""

    @model_validator(mode="after")
    def _some(self) -> WalkerCounts:
        if not self.total:
            raise ValueError("there is no walker of any kind: give at least one kind a positive number")
        return self

    @property
    def total(self) -> int:
        """Number of walkers in a round."""
        return sum(getattr(self, name) for name in type(self).model_fields)


class ExplorationConfig(Settings):
    """The walkers that search for structures that a potential does not know.

    The extrapolation grade of a structure is about 1 at the edge of what the potential was fitted to (Lysogorskiy et al.,
    Phys. Rev. Mater. 7, 043801 (2023)), and grows with the distance from it.
    """

    walkers: WalkerCounts = WalkerCounts()
    """How many walkers of each kind go in a round."""

    temperatures: tuple[PositiveFloat, ...] = Field(default=(300.0, 600.0, 1000.0, 1500.0, 2500.0), min_length=1)
    """Temperatures, in K, of molecular dynamics; walkers take them in turn, others in each round."""

    pressures: tuple[float, ...] = Field(default=(0.0, 5.0, 20.0), min_length=1)
    """Pressures, in GPa, of molecular dynamics at constant pressure and of relaxations, in turn too."""

    steps: PositiveInt = 1000
    """Steps of molecular dynamics."""

    timestep: PositiveFloat | Literal["auto"] = "auto"
    """Step of molecular dynamics, in fs, or `auto`: 2, less with atoms lighter than oxygen, 0.5 with hydrogen."""

    lammps: str | None = Field(default=None, min_length=1)
    """The program of a LAMMPS with the package ML-PACE, on the computer of the trainer: it runs molecular dynamics in place of
    ASE."""

    deformation_steps: PositiveInt = 40
    """Steps of a deformation."""

    relaxation_steps: PositiveInt = 150
    """Largest number of steps of a relaxation."""

    max_strain: float = Field(default=0.25, gt=0.0, le=0.5)
    """Largest strain at the end of a deformation, up to 0.5."""

    max_atoms: int = Field(default=32, ge=4)
    """Largest number of atoms of a walker, at least 4: what is handed in is to be labelled."""

    select_grade: PositiveFloat = 2.0
    """Extrapolation grade from which on a structure is handed in. `mlip-auto learn` begins with it, and then lets the labels
    that come back tell what it should be."""

    stop_grade: PositiveFloat = 10.0
    """Grade at which a walker ends: where it goes from there is not to be trusted."""

    growth: float = Field(default=2.0, gt=1.0)
    """Factor by which the grade must have grown since a walker handed in a structure until it hands in another."""

    min_distance_fraction: float = Field(default=0.6, ge=0.3, le=1.0)
    """A walker ends when atoms come closer than this fraction of the sum of their covalent radii, 0.3 to 1."""

    max_temperature_ratio: float = Field(default=5.0, gt=1.0)
    """A walker ends when it is so many times hotter than it should be."""

    max_volume_ratio: float = Field(default=3.0, gt=1.0)
    """A walker ends when it has so many times the volume it started with, or so many times less."""

    rattle: NonNegativeFloat = 0.05
    """Standard deviation of the displacements, in Å, of atoms at each step of a deformation."""

    jobs: PositiveInt = 1
    """Jobs that the walkers of a round are divided among."""

    max_restarts: NonNegativeInt = 5
    """How often a job that was ended (walltime, killed job, lost node) goes on in another one."""

    seed: NonNegativeInt = 42
    """Seed of all random choices."""

    @model_validator(mode="after")
    def _limits_in_order(self) -> ExplorationConfig:
        if self.stop_grade < self.select_grade:
            raise ValueError(f"stop_grade ({self.stop_grade:g}) is below select_grade ({self.select_grade:g})")
        return self
