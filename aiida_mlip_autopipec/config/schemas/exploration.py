"""Settings of the exploration: samplers that search for structures with a large extrapolation grade."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from .base import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, ShellLines, StrictSettings

_ADDED_COMMANDS = frozenset(
    (
        "units",
        "boundary",
        "atom_style",
        "read_data",
        "pair_style",
        "pair_coeff",
        "run",
        "rerun",
        "clear",
        "reset_timestep",
    )
)
"""Commands of LAMMPS that `lammps_input` must not have."""


class SamplerCounts(StrictSettings):
    """Number of MD runs and other samplers of each kind in a round."""

    nvt: NonNegativeInt = 6
    """Molecular dynamics of crystals at constant volume, at different volumes from compressed to stretched."""

    npt: NonNegativeInt = 6
    """Molecular dynamics of crystals at constant pressure."""

    vacancy: NonNegativeInt = 3
    """Molecular dynamics of crystals with an atom missing, at constant pressure."""

    surface: NonNegativeInt = 3
    """Molecular dynamics of slabs."""

    cluster: NonNegativeInt = 3
    """Molecular dynamics of clusters in vacuum."""

    deformation: NonNegativeInt = 6
    """Crystals that are stretched, compressed and sheared step by step."""

    relaxation: NonNegativeInt = 9
    """Random symmetric crystals, relaxed together with their cells."""

    melt_quench: NonNegativeInt = 2
    """Molecular dynamics of crystals that are melted and then cooled to a glass, at constant volume."""

    @model_validator(mode="after")
    def _at_least_one(self) -> SamplerCounts:
        if not self.total:
            raise ValueError("there is no sampler of any kind: give at least one kind a positive number")
        return self

    @property
    def total(self) -> int:
        """Number of samplers in a round."""
        return sum(getattr(self, name) for name in type(self).model_fields)


class ExplorationConfig(StrictSettings):
    """The samplers (MD runs, deformations, relaxations) that search for structures with a large extrapolation grade.

    The extrapolation grade of a structure is about 1 at the edge of what the potential was fitted to (Lysogorskiy et al.,
    Phys. Rev. Mater. 7, 043801 (2023)), and grows with the distance from it.
    """

    walkers: SamplerCounts = SamplerCounts()
    """Number of samplers of each kind in a round."""

    temperatures: tuple[PositiveFloat, ...] = Field(default=(300.0, 600.0, 1000.0, 1500.0, 2500.0), min_length=1)
    """Temperatures, in K, of molecular dynamics. The MD runs use them in turn, and start with a different one in each round."""

    pressures: tuple[float, ...] = Field(default=(0.0, 5.0, 20.0), min_length=1)
    """Pressures, in GPa, of molecular dynamics at constant pressure and of relaxations, which use them in turn."""

    steps: PositiveInt = 1000
    """Number of steps of an MD run."""

    timestep: PositiveFloat | Literal["auto"] = "auto"
    """Time step of molecular dynamics, in fs, or `auto`: 2, less with atoms lighter than oxygen, 0.5 with hydrogen."""

    lammps: str | None = Field(default=None, min_length=1)
    """Path, or name on the PATH, of a LAMMPS program with the package ML-PACE on the computer `resources.trainer.computer`. It
    runs the molecular dynamics instead of ASE, except `melt_quench`."""

    lammps_input: ShellLines = Field(default="", max_length=20_000)
    """LAMMPS commands of the molecular dynamics, in place of the initial velocities, the Langevin thermostat and the barostat
    of this package, which are used if it is empty. The variables `temperature` (K), `pressure` (bar), `timestep` (ps),
    `steps`, `seed` and `ensemble` (`nvt` or `npt`) are defined; this package adds the commands for structure, potential, grade,
    output and `run`."""

    melt_temperature: PositiveFloat = 4000.0
    """Temperature, in K, of the first half of a `melt_quench`. In the second half it falls linearly to `quench_temperature`."""

    quench_temperature: PositiveFloat = 300.0
    """Temperature, in K, at the end of a `melt_quench`."""

    melt_quench_steps: PositiveInt = 2000
    """Number of steps of a `melt_quench`."""

    deformation_steps: PositiveInt = 40
    """Number of steps of a deformation."""

    relaxation_steps: PositiveInt = 150
    """Largest number of steps of a relaxation."""

    max_strain: float = Field(default=0.25, gt=0.0, le=0.5)
    """Largest strain at the end of a deformation, up to 0.5."""

    max_atoms: int = Field(default=32, ge=4, le=10_000)
    """Maximum number of atoms of an explored structure, at least 4. Choose a size that the oracle can label."""

    select_grade: PositiveFloat = 2.0
    """A frame is saved if its extrapolation grade is at least this limit. `mlip-auto learn` starts with it and calibrates it
    from the errors on new labels."""

    stop_grade: PositiveFloat = 10.0
    """Extrapolation grade at which a sampler stops: beyond it the potential is not reliable. With the potential of a teacher,
    samplers stop at `select_grade`."""

    growth: float = Field(default=2.0, gt=1.0)
    """A sampler saves its next frame when the grade has grown by this factor since the last saved frame."""

    save_interval: PositiveInt | None = None
    """Number of steps after which a sampler saves a frame, whatever its grade; the last frame is saved too. If empty, only
    frames of a large grade are saved."""

    min_distance_fraction: float = Field(default=0.6, ge=0.3, le=1.0)
    """A sampler stops when atoms come closer than this fraction of the sum of their covalent radii, 0.3 to 1."""

    max_temperature_ratio: float = Field(default=5.0, gt=1.0)
    """An MD run stops when its temperature is this many times the target temperature, which counts as at least 1000 K: a start
    far from an energy minimum heats up."""

    max_volume_ratio: float = Field(default=3.0, gt=1.0)
    """A sampler stops when its volume has grown or shrunk by this factor."""

    rattle: NonNegativeFloat = 0.05
    """Standard deviation of the displacements, in Å, of atoms at each step of a deformation."""

    jobs: PositiveInt = 1
    """Number of jobs among which the samplers of a round are divided."""

    max_restarts: NonNegativeInt = 5
    """Maximum number of restarts of a job that is killed (walltime, lost node)."""

    seed: NonNegativeInt = 42
    """Seed of all random choices."""

    @field_validator("lammps_input", mode="after")
    @classmethod
    def _only_dynamics(cls, commands: str) -> str:
        for number, line in enumerate(commands.splitlines(), start=1):
            command = (line.split() or [""])[0]
            if command in _ADDED_COMMANDS:
                raise ValueError(f"line {number}: `{command}` is added by the exploration; leave it out")
        return commands

    @model_validator(mode="after")
    def _lammps_for_its_input(self) -> ExplorationConfig:
        if self.lammps_input.strip() and self.lammps is None:
            raise ValueError("lammps_input needs the setting lammps, the path of the LAMMPS program that runs it")
        return self

    @model_validator(mode="after")
    def _limits_in_order(self) -> ExplorationConfig:
        if self.stop_grade < self.select_grade:
            raise ValueError(f"stop_grade ({self.stop_grade:g}) must not be below select_grade ({self.select_grade:g})")
        return self
