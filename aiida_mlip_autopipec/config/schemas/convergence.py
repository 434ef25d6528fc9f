"""Settings of `mlip-auto converge`."""

from __future__ import annotations

from pydantic import Field, field_validator

from .base import PositiveFloat, StrictSettings


class ConvergenceConfig(StrictSettings):
    """Targets and values of a convergence study."""

    energy: PositiveFloat = 1.0
    """Largest error of an energy, in meV/atom."""

    force: PositiveFloat = 5.0
    """Largest error of a component of a force, in meV/Å."""

    stress: PositiveFloat | None = None
    """Largest error of a component of the stress, in meV/Å^3 (1 GPa is 6.24 meV/Å^3); if empty, the stress has no target."""

    cutoffs: list[PositiveFloat] | None = Field(default=None, min_length=3, max_length=20)
    """Cutoffs to try, in the unit of the oracle's setting; if empty, those of the oracle."""

    distances: list[PositiveFloat] = Field(default=[0.6, 0.45, 0.33, 0.25, 0.18], min_length=3, max_length=20)
    """Distances of k-points to try, in 1/Å."""

    @field_validator("cutoffs")
    @classmethod
    def _growing(cls, value: list[float] | None) -> list[float] | None:
        return None if value is None else sorted(set(value))

    @field_validator("distances")
    @classmethod
    def _falling(cls, value: list[float]) -> list[float]:
        return sorted(set(value), reverse=True)
