"""Settings of the properties that are computed with a potential."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from .base import NonNegativeInt, PositiveFloat, PositiveInt, Seed, StrictSettings, plain

Miller = tuple[int, int, int]


class LatticeSettings(StrictSettings):
    """Lattice parameters, energy, equation of state."""

    max_strain: float = Field(default=0.04, gt=0.0, le=0.2)
    """Largest relative change of the lattice parameters in the equation of state, in steps of 0.01; at least 0.03 is used."""


class ElasticSettings(StrictSettings):
    """Elastic constants from stresses of strained cells, ions clamped and relaxed."""


class PhononSettings(StrictSettings):
    """Phonon dispersion along the standard path, and density of states, by finite displacements."""

    min_length: PositiveFloat = 10.0
    """Shortest vector of the supercell, in Å."""

    mesh: PositiveFloat = 40.0
    """Length, in Å, that determines the q-point mesh of the density of states (`mesh` of phonopy): the number of q-points along
    a reciprocal vector is this length times the length of the vector (without 2π)."""

    path_points: int = Field(default=51, ge=2, le=1000)
    """Number of q-points along each segment of the path."""


class ThermalSettings(PhononSettings):
    """Thermal expansion and free energy by the quasi-harmonic approximation."""

    volumes: int = Field(default=7, ge=5, le=31)
    """Number of volumes."""

    max_strain: float = Field(default=0.02, gt=0.0, le=0.1)
    """Largest relative extension of the lattice parameters; they are compressed by up to half of it."""

    max_temperature: PositiveFloat = 800.0
    """Highest temperature, in K."""


class ConductivitySettings(StrictSettings):
    """Lattice thermal conductivity by third-order force constants, in the relaxation time approximation."""

    min_length: PositiveFloat = 10.0
    """Shortest vector of the supercell of the third-order force constants, in Å."""

    harmonic_min_length: PositiveFloat = 10.0
    """Shortest vector of the supercell of the second-order force constants, in Å."""

    pair_cutoff: PositiveFloat | None = None
    """Third-order force constants between atoms farther apart than this, in Å, are set to zero: fewer supercells are then
    computed. No cutoff if empty."""

    max_supercells: PositiveInt = 2000
    """Largest number of displaced supercells: a crystal that needs more is left out."""

    mesh: PositiveFloat = 30.0
    """Length, in Å, that determines the q-point mesh, as `mesh` of `phonons`. Increase it until the result no longer
    changes."""

    temperatures: tuple[PositiveFloat, ...] = (200.0, 300.0, 400.0, 500.0, 600.0, 700.0, 800.0)
    """Temperatures, in K."""


class DefectSettings(StrictSettings):
    """Vacancies, interstitials and antisites with relaxed atoms at constant volume."""

    min_length: PositiveFloat = 10.0
    """Shortest vector of the supercell, in Å."""

    max_force: PositiveFloat = 0.01
    """Largest force, in eV/Å, after the relaxation."""

    kinds: tuple[Literal["vacancy", "interstitial", "antisite"], ...] = ("vacancy", "interstitial", "antisite")
    """Kinds of defects."""

    dumbbells: tuple[Miller, ...] = ((1, 0, 0), (1, 1, 0), (1, 1, 1))
    """Directions of the dumbbell interstitials, in the conventional cell."""


class MigrationSettings(StrictSettings):
    """Barrier of the hop of a vacancy to the nearest site, by the nudged elastic band method."""

    min_length: PositiveFloat = 10.0
    """Shortest vector of the supercell, in Å."""

    images: int = Field(default=5, ge=1, le=31)
    """Number of images between the two end points of the path."""

    max_force: PositiveFloat = 0.02
    """Largest force, in eV/Å, after the relaxation."""


class StackingFaultSettings(StrictSettings):
    """Energy of a generalised stacking fault along a slip, with atoms relaxed perpendicular to the plane."""

    plane: Miller | None = None
    """Miller indices of the plane of a cubic crystal; by default 111, or 110 of a body-centred crystal."""

    slip: tuple[float, float, float] | None = None
    """Slip vector in units of the conventional cell; by default one period:
    [1/2 1/2 -1] on 111 and [-1/2 1/2 1/2] on 110."""

    layers: int = Field(default=4, ge=1, le=100)
    """Repetitions of the cell perpendicular to the plane."""

    points: int = Field(default=13, ge=3, le=200)
    """Number of points along the slip vector."""

    max_force: PositiveFloat = 0.02
    """Largest force, in eV/Å, after the relaxation."""


class SurfaceSettings(StrictSettings):
    """Energies of relaxed surfaces, and the Wulff shape."""

    max_index: int = Field(default=1, ge=1, le=4)
    """Largest Miller index; surfaces that are equal by symmetry are computed once."""

    thickness: PositiveFloat = 15.0
    """Smallest thickness of a slab, in Å."""

    vacuum: PositiveFloat = 12.0
    """Vacuum between slabs, in Å."""

    max_force: PositiveFloat = 0.02
    """Largest force, in eV/Å, after the relaxation."""


class HullSettings(StrictSettings):
    """Convex hull of the energies of formation of all given structures."""


class LiquidSettings(StrictSettings):
    """Density and radial distribution of the liquid at zero pressure, by molecular dynamics."""

    temperature: PositiveFloat | None = None
    """Temperature, in K; by default 1.2 times an estimate of the melting point from the bulk modulus."""

    atoms: int = Field(default=108, ge=8, le=100_000)
    """Smallest number of atoms."""

    steps: PositiveInt = 4000
    """Number of MD steps of the average, after the same number of steps of equilibration."""

    timestep: PositiveFloat = 2.0
    """Time step, in fs."""

    seed: Seed = 42
    """Seed of the velocities."""


class MeltingSettings(LiquidSettings):
    """Melting point at zero pressure from the coexistence of crystal and liquid, by molecular dynamics."""

    temperature: PositiveFloat | None = None
    """Temperature at the start of the first MD run, in K; by default an estimate of the melting point from the bulk modulus."""

    atoms: int = Field(default=500, ge=32, le=1_000_000)
    """Smallest number of atoms."""

    steps: PositiveInt = 10_000
    """Number of MD steps of crystal and liquid in coexistence."""

    attempts: PositiveInt = 4
    """Maximum number of MD runs: if crystal or liquid vanishes, the next run starts halfway between the temperature at the
    start and the one that was reached."""


class PropertiesConfig(StrictSettings):
    """The properties that `mlip-auto properties` computes."""

    properties: tuple[str, ...] = ("lattice", "elastic", "phonons", "defects", "surfaces")
    """Names of the properties: built-in ones, those of `own`, and those of other packages."""

    own: tuple[str, ...] = ()
    """Python files with properties of your own; they run on this machine."""

    settings: dict[str, Any] = Field(default_factory=dict)
    """Settings of your own properties, and of those of other packages, by name."""

    max_force: Annotated[float, Field(gt=0.0, le=1.0)] = 0.001
    """Largest force, in eV/Å, after the relaxation of the crystals."""

    max_steps: NonNegativeInt = 500
    """Largest number of steps of the relaxation of the crystals."""

    lattice: LatticeSettings = LatticeSettings()
    """Lattice parameters, energy, equation of state."""

    elastic: ElasticSettings = ElasticSettings()
    """Elastic constants."""

    phonons: PhononSettings = PhononSettings()
    """Phonons."""

    thermal_expansion: ThermalSettings = ThermalSettings()
    """Thermal expansion."""

    thermal_conductivity: ConductivitySettings = ConductivitySettings()
    """Thermal conductivity."""

    defects: DefectSettings = DefectSettings()
    """Point defects."""

    migration: MigrationSettings = MigrationSettings()
    """Migration of vacancies."""

    stacking_fault: StackingFaultSettings = StackingFaultSettings()
    """Stacking faults."""

    surfaces: SurfaceSettings = SurfaceSettings()
    """Surfaces."""

    hull: HullSettings = HullSettings()
    """Convex hull."""

    liquid: LiquidSettings = LiquidSettings()
    """The liquid."""

    melting: MeltingSettings = MeltingSettings()
    """The melting point."""

    @field_validator("settings", mode="before")
    @classmethod
    def _plain_settings(cls, value: Any) -> Any:
        return plain(value)
