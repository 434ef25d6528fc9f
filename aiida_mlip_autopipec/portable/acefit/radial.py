"""The radial part of the basis, by trials: the cutoff and the radial functions with which a small basis predicts best."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from acecommon.deadline import Deadline
from acecommon.errors import log

from .basis import Basis, Radial, basis_settings
from .data import Frame, ReferenceEnergies, shortest_distances
from .linear import trial_error
from .neighbours import neighbours
from .settings import Settings

SHELLS = (1.9, 2.1, 2.3, 2.5, 2.7, 2.9, 3.1)
"""Cutoffs that are tried, in units of the usual distance of nearest neighbours."""

USUAL_SHELLS = 2.5
"""Where the search begins, and ends if there is too little to try on: behind the sixth shell of a close-packed crystal."""

CUTOFF_RANGE = (4.0, 8.0)
"""Shortest and longest `auto` cutoff (Å)."""

USUAL_FUNCTIONS = ("SBessel", (5.25,))
OTHER_FUNCTIONS = (("ChebPow", (2.0,)),)
"""Radial functions by their names in pyace, with their parameters."""

TRIAL_FUNCTIONS, TRIAL_ATOMS, FEWEST_STRUCTURES = 250, 3000, 50
"""Number of functions of a trial, of atoms it is made on at most, and of structures it needs at least."""

LONGER_IS_WORTH = 0.99
"""A longer cutoff, which costs time, must make the validation error this much smaller."""

OTHER_IS_WORTH = 0.93
"""So must other radial functions: a small basis does not tell small differences of large ones."""

PART_OF_LIMIT = 0.25
"""Part of the time limit after which no further trial begins."""


def choose_radial(
    settings: Settings, training: Sequence[Frame], reference: ReferenceEnergies, workers: int, deadline: Deadline
) -> tuple[Radial, str]:
    """Return the cutoff, as asked or chosen, and the radial functions, and why."""
    if settings.cutoff != "auto":
        return Radial(float(settings.cutoff), *USUAL_FUNCTIONS), "given"
    spacing = _usual_spacing(training)
    if spacing is None:
        return Radial(CUTOFF_RANGE[1], *USUAL_FUNCTIONS), "the longest, as no atom has a neighbour near"

    def at(shells: float, functions: tuple[str, tuple[float, ...]] = USUAL_FUNCTIONS) -> Radial:
        return Radial(float(np.clip(round(shells * spacing, 1), *CUTOFF_RANGE)), *functions)

    subset = _subset(training)
    if len(subset) < FEWEST_STRUCTURES:
        return at(
            USUAL_SHELLS
        ), f"{USUAL_SHELLS} times the usual distance of neighbours: too few structures to try others"
    begun = time.monotonic()
    errors: dict[Radial, float] = {}

    def error(radial: Radial) -> float:
        if radial not in errors:
            if settings.time_limit is not None and time.monotonic() - begun > PART_OF_LIMIT * settings.time_limit:
                return np.inf
            errors[radial] = _trial(settings, subset, reference, radial, workers, deadline)
            log(f"  trial: {radial.name}, cutoff {radial.cutoff:g} Å: validation error {errors[radial]:.3g}")
        return errors[radial]

    best = _climb([at(shells) for shells in SHELLS], SHELLS.index(USUAL_SHELLS), error)
    for functions in OTHER_FUNCTIONS:
        other = Radial(best.cutoff, *functions)
        if error(other) < OTHER_IS_WORTH * errors[best]:
            best = other
    tried = ", ".join(
        f"{radial.name} {radial.cutoff:g} Å {value / errors[best]:.3f}" for radial, value in errors.items()
    )
    return best, f"cross-validation of {TRIAL_FUNCTIONS} functions or fewer on {len(subset)} structures: {tried}"


def _climb(candidates: Sequence[Radial], start: int, error: Callable[[Radial], float]) -> Radial:
    """Go up from the start as long as that is worth it, or else down as long as the error does not rise."""
    best = start
    error(candidates[best])
    while best + 1 < len(candidates) and error(candidates[best + 1]) < LONGER_IS_WORTH * error(candidates[best]):
        best += 1
    if best == start:
        while best > 0 and error(candidates[best - 1]) <= error(candidates[best]):
            best -= 1
    return candidates[best]


def _usual_spacing(training: Sequence[Frame]) -> float | None:
    """Return the median distance (Å) of nearest neighbours."""
    nearest: list[float] = []
    for frame in training:
        if frame.first and (len(frame.atoms) > 1 or frame.atoms.pbc.any()):
            first, _, distances = neighbours(frame.atoms, CUTOFF_RANGE[1])
            shortest = np.full(len(frame.atoms), np.inf)
            np.minimum.at(shortest, first, distances)
            nearest += shortest[np.isfinite(shortest)].tolist()
    return float(np.median(nearest)) if nearest else None


def _subset(training: Sequence[Frame]) -> list[Frame]:
    """Return different structures, drawn at random but always the same ones, until there are atoms enough."""
    chosen, atoms = [], 0
    for index in np.random.default_rng(0).permutation(len(training)).tolist():
        frame = training[index]
        if frame.first and atoms + len(frame.atoms) <= TRIAL_ATOMS:
            chosen.append(replace(frame, equal=1, virial=None))
            atoms += len(frame.atoms)
    return chosen


def _trial(
    settings: Settings,
    subset: Sequence[Frame],
    reference: ReferenceEnergies,
    radial: Radial,
    workers: int,
    deadline: Deadline,
) -> float:
    shortest = shortest_distances(subset, radial.cutoff)
    rows = sum(3 * len(frame.atoms) for frame in subset) / len(settings.elements)
    n_functions = int(max(5, min(TRIAL_FUNCTIONS, rows // 12)))
    basis = Basis(basis_settings(settings, shortest, radial, n_functions))
    return trial_error(basis, subset, reference, workers, deadline)
