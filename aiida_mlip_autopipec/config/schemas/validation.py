"""Settings of the validation: its parts, and the limits of its checks."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .base import NonNegativeFloat, PositiveFloat, PositiveInt, Seed, StrictSettings
from .generator import Prototype

Part = Literal["equation_of_state", "elastic", "vacancy", "surfaces", "dimer", "phonons", "dynamics"]


class ValidationLimits(StrictSettings):
    """Limits: the largest deviation of the potential from its oracle that passes a check.

    Relative limits are fractions of the oracle's value: 0.01 is one percent.
    """

    lattice_constant: PositiveFloat = 0.01
    """Lattice constants at the energy minimum, relative."""

    lattice_angle: PositiveFloat = 1.0
    """Angles of the conventional cell at the energy minimum, in degrees."""

    bulk_modulus: PositiveFloat = 0.1
    """Bulk moduli, relative."""

    crystal_energy: PositiveFloat = 0.03
    """Energies of crystals relative to the element's reference crystal, and formation energies of compounds, in eV/atom."""

    hull_energy: PositiveFloat = 0.02
    """Energies of phases above the convex hull of all given phases, in eV/atom."""

    cohesive_energy: PositiveFloat = 0.05
    """Cohesive energies of the reference crystals, relative."""

    elastic_constant: PositiveFloat = 0.15
    """Elastic constants, relative; for constants smaller than a tenth of the largest one, relative to that tenth."""

    vacancy_formation_energy: PositiveFloat = 0.15
    """Formation energies of vacancies and of missing formula units, in eV."""

    surface_energy: PositiveFloat = 0.1
    """Surface energies, relative."""

    dimer_energy: PositiveFloat = 0.3
    """Root mean square deviation of the energy curves of dimers up to 2 eV above the energy of free atoms, in eV."""

    phonon_frequency: PositiveFloat = 0.1
    """Root mean square deviation of the phonon frequencies at a point of the zone boundary, relative to the highest one."""

    imaginary_frequency: NonNegativeFloat = 0.3
    """Largest imaginary frequency of the potential, in THz, if the oracle has none."""

    energy_drift: PositiveFloat = 0.005
    """Drift of the total energy in the NVE part of the dynamics, in eV/atom/ps."""

    energy_fluctuation: PositiveFloat = 0.005
    """Standard deviation of the total energy from its linear drift in the NVE part of the dynamics, in eV/atom."""

    closest_approach: float = Field(default=0.65, gt=0.0, lt=1.0)
    """Smallest allowed distance between atoms during the dynamics, as a fraction of the nearest-neighbour distance."""

    extrapolation_grade: PositiveFloat = 25.0
    """Largest extrapolation grade during the dynamics, if the active set of the potential is known."""


class DynamicsConfig(StrictSettings):
    """The molecular dynamics: first at constant temperature (Langevin), then at constant energy."""

    temperature: PositiveFloat = 300.0
    """Temperature, in K."""

    timestep: PositiveFloat = 1.0
    """Time step, in fs."""

    nvt_steps: PositiveInt = 500
    """Steps at constant temperature."""

    nve_steps: PositiveInt = 1000
    """Steps at constant energy; at least a twentieth of `nvt_steps`, so that the drift can be measured."""

    max_atoms: int = Field(default=64, ge=2, le=10_000)
    """Largest number of atoms in the cell."""


class ValidationConfig(StrictSettings):
    """The validation of a potential against its own oracle, on structures that are not in its training set.

    Phases (`role: phase` of a structure, `mlip-auto validate --structures`) are validated with all properties.
    """

    level: Literal["quick", "standard", "full"] = "standard"
    """`quick`: equations of state, elastic constants and dynamics, without `prototypes`; `standard`: all parts, about 80 single
    points for an element; `full`: equations of state of 11 instead of 7 points, up to 5 % instead of 3 % from the lattice
    constant of the potential."""

    parts: tuple[Part, ...] = Field(
        default=("equation_of_state", "elastic", "vacancy", "surfaces", "dimer", "phonons", "dynamics"), min_length=1
    )
    """The parts that are computed, if the level includes them."""

    prototypes: tuple[Prototype, ...] = ("fcc", "bcc", "hcp", "sc", "diamond")
    """Crystals of which equations of state are computed, in addition to the reference crystal of each element."""

    guessed_crystals: bool | Literal["auto"] = "auto"
    """Whether reference crystals, `prototypes` and ordered compounds of the elements are validated, or `auto`: only if no
    phases are given."""

    search_range: float = Field(default=0.08, ge=0.04, le=0.25)
    """The energy minimum of the oracle is searched for up to this relative distance from the lattice constant of the
    potential. If there is none, the crystal is not compared."""

    max_miller_index: int = Field(default=1, ge=1, le=3)
    """Largest Miller index of the surfaces, in the conventional cell."""

    slab_thickness: PositiveFloat = 12.0
    """Smallest thickness of slabs, in Å; if such a slab has more than `max_atoms` atoms, thinner ones of at least two cells are
    tried."""

    min_slab_thickness: PositiveFloat = 5.0
    """A surface is not validated if `max_atoms` does not allow a slab of this thickness, in Å."""

    phonon_points: PositiveInt = 3
    """Largest number of points of the zone boundary at which the phonons of a crystal with a large cell are compared."""

    max_atoms: int = Field(default=32, ge=8, le=10_000)
    """Largest number of atoms in supercells and slabs that the oracle computes, at least 8; a phase itself may have more."""

    dynamics: DynamicsConfig = DynamicsConfig()
    """Molecular dynamics with the potential."""

    limits: ValidationLimits = ValidationLimits()
    """Limits of the checks."""

    seed: Seed = 42
    """Seed of the velocities at the start of the dynamics."""

    def includes(self, part: Part) -> bool:
        """Return whether a part is computed."""
        wanted = self.level != "quick" or part in ("equation_of_state", "elastic", "dynamics")
        return wanted and part in self.parts
