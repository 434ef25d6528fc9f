"""Errors of a potential on a part of its dataset, and their level."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from .model import Structures

Level = Literal["bad", "look", "note", "good"]
"""`bad`: not usable; `look`: to be checked by the user; `note`: does not affect the verdict; `good`."""

ENERGY_LIMITS = (10.0, 30.0)
"""Limits of the RMSE of energies (meV/atom): good up to the first, bad above the second."""

FORCE_LIMITS = (0.10, 0.25)
"""Limits of the RMSE of forces relative to a typical force: good up to the first, bad above the second."""

MIN_TYPICAL_FORCE = 0.3
"""Minimum of the typical force (eV/Å): near equilibrium all forces are small, and relative errors are meaningless."""

MAX_UNEXPLAINED, MIN_FORCE_ERROR = 0.5, 0.01
"""An RMSE of forces is to be checked, however small the forces are, if it is above the first number times the forces and above
the second one (eV/Å): smaller forces are numerical errors of the reference method, as where symmetry makes them zero."""

MUCH_LARGER = 3.0
"""Errors of training structures count in the verdict if they are larger than the upper limits by more than this factor."""

NEGLIGIBLE = 1e-6
"""Numbers below this are rounding errors."""


@dataclass(frozen=True)
class Errors:
    """Errors on a set of structures: energies in meV/atom, forces in eV/Å; `force_scale` is the typical force (eV/Å).

    :ivar force_rms: RMS of the force components of the reference (eV/Å).
    """

    n_structures: int
    energy_mae: float
    energy_rmse: float
    force_mae: float
    force_rmse: float
    force_scale: float
    force_rms: float

    @property
    def relative_force(self) -> float:
        """RMSE of forces divided by the typical force."""
        return self.force_rmse / max(self.force_scale, MIN_TYPICAL_FORCE)

    @property
    def unexplained_force(self) -> float | None:
        """RMSE of forces divided by the forces, if they are small and the potential does not reproduce them; else None."""
        forces = max(self.force_scale, self.force_rms)
        small = self.force_scale < MIN_TYPICAL_FORCE and self.force_rmse > MIN_FORCE_ERROR
        return self.force_rmse / forces if small and 0.0 < MAX_UNEXPLAINED * forces < self.force_rmse else None

    @property
    def has_forces(self) -> bool:
        """Whether any force is not zero: forces on symmetric crystals vanish, so their errors are always zero."""
        return self.force_scale > 0.0 or self.force_rmse > NEGLIGIBLE

    @property
    def energy_level(self) -> Level:
        """Level of the energy errors."""
        return _level(self.energy_rmse, ENERGY_LIMITS)

    @property
    def force_level(self) -> Level:
        """Level of the force errors."""
        level = _level(self.relative_force, FORCE_LIMITS)
        return "look" if level == "good" and self.unexplained_force is not None else level

    @property
    def level(self) -> Level:
        """The worse of the levels of energies and forces."""
        levels = (self.energy_level, self.force_level)
        return "bad" if "bad" in levels else "look" if "look" in levels else "good"

    @property
    def is_much_too_large(self) -> bool:
        """Whether the errors are larger than the upper limits by more than the factor :data:`MUCH_LARGER`."""
        return self.energy_rmse > MUCH_LARGER * ENERGY_LIMITS[1] or self.relative_force > MUCH_LARGER * FORCE_LIMITS[1]

    def __str__(self) -> str:
        """Return the errors as text."""
        unexplained = self.unexplained_force
        if unexplained is not None:
            return (
                f"{three_digits(self.energy_rmse)} meV/atom and {three_digits(self.force_rmse)} eV/Å (forces are small here, "
                f"but this is {percent(unexplained)} of them)"
            )
        return (
            f"{three_digits(self.energy_rmse)} meV/atom and {three_digits(self.force_rmse)} eV/Å "
            f"({percent(self.relative_force)} of a typical force)"
        )


def _level(error: float, limits: tuple[float, float]) -> Level:
    return "good" if error <= limits[0] else "look" if error <= limits[1] else "bad"


def three_digits(value: float) -> str:
    """Return a number with three significant digits: without exponent if it is large, and 0 if it is negligible."""
    if abs(value) < NEGLIGIBLE:
        return "0"
    return (f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}").replace("-", "−")


def percent(fraction: float) -> str:
    """Return a fraction in percent, as text; a positive one that rounds to zero is `< 1 %`."""
    rounded = f"{100.0 * fraction:.0f}"
    return "< 1 %" if rounded == "0" and fraction > 0.0 else f"{rounded} %"


def error_statistics(structures: Structures, mask: np.ndarray) -> Errors | None:
    """Return the errors on the structures in a mask (n,); None if the mask is empty."""
    if not mask.any():
        return None
    atoms = mask[structures.atoms]
    reference, predicted = (part[atoms] for part in structures.forces)
    energy, force = structures.energy_error[mask], predicted - reference
    return Errors(
        int(mask.sum()),
        float(np.abs(energy).mean()),
        _rms(energy),
        float(np.abs(force).mean()),
        _rms(force),
        _typical_force(reference),
        _rms(reference),
    )


def _typical_force(forces: np.ndarray) -> float:
    """Return the median force divided by sqrt(3) (eV/Å), a typical component; a mean would depend on a few large forces."""
    sizes = np.linalg.norm(forces, axis=1)
    sizes = sizes[sizes > 1e-3]
    return float(np.median(sizes)) / 3**0.5 if sizes.size else 0.0


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values))))
