"""Choice of the cutoff and of the radial functions by the validation error of a small basis."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from mlip_common.deadline import Deadline
from mlip_common.errors import log
from mlip_common.progress import progress

from .basis import Basis, Radial, basis_settings, choose_numbers_of_functions
from .data import Frame, ReferenceEnergies, shortest_distances
from .linear import trial_error
from .neighbours import neighbours
from .plan import FEWEST, LABELS_PER_FUNCTION, TRIAL_ATOMS, TRIAL_FUNCTIONS, trial_cost
from .settings import FitSettings

INITIAL_SHELLS = 2.5
"""Initial cutoff, in units of the median nearest-neighbour distance, also used with too few structures for trials: beyond the
sixth shell of a close-packed crystal."""

INITIAL_RANGE = (4.0, 8.0)
"""Shortest and longest initial cutoff (Å)."""

SHELL_STEP, MIN_STEP = 0.2, 0.3
"""Step from one candidate to the next: a number of nearest-neighbour distances, and at least this distance in Å."""

SHORTEST_SHELLS, CUTOFF_RANGE = 1.4, (3.0, 8.0)
"""Limits of the search: the shortest cutoff in nearest-neighbour distances, and the shortest and longest in Å."""

DEFAULT_FUNCTIONS = ("SBessel", (5.25,))
OTHER_FUNCTIONS = (("ChebPow", (2.0,)),)
"""Radial functions by their names in pyace, and their parameters."""

MIN_STRUCTURES = 50
"""Smallest number of structures in a trial."""

LONGER_CUTOFF_FACTOR = 0.99
"""A longer cutoff, which costs time, must lower the validation error to this fraction."""

SHORTER_CUTOFF_FACTOR = 0.7
"""A cutoff below the initial one must lower the validation error to this fraction. The few functions of a trial favour short
cutoffs. Example Cu-Au: in a trial, the error at 5.0 Å is 0.76 of that at 5.9 Å. But with all functions, the error in molecular
dynamics is 10.4 meV/atom at 5.0 Å and 6.6 at 6.0 Å."""

OTHER_FUNCTIONS_FACTOR = 0.93
"""Other radial functions must lower the validation error to this fraction: a small basis does not resolve small differences."""

TRIALS_TIME_FRACTION = 0.25
"""Fraction of the time limit after which no further trial starts."""


def choose_radial(
    settings: FitSettings, training: Sequence[Frame], reference: ReferenceEnergies, workers: int, deadline: Deadline
) -> tuple[Radial, str]:
    """Return the given or chosen cutoff with the radial functions, and the reason."""
    if settings.cutoff != "auto":
        return Radial(float(settings.cutoff), *DEFAULT_FUNCTIONS), "given"
    spacing = _nearest_neighbour_distance(training)
    if spacing is None:
        return Radial(CUTOFF_RANGE[1], *DEFAULT_FUNCTIONS), "the longest cutoff, as there are no nearer neighbours"

    candidates, initial = candidate_cutoffs(spacing)
    subset = _subset(training)
    if len(subset) < MIN_STRUCTURES:
        return (
            Radial(candidates[initial], *DEFAULT_FUNCTIONS),
            f"{INITIAL_SHELLS} times the median nearest-neighbour distance: too few structures for trials",
        )
    start = time.monotonic()
    errors: dict[Radial, float] = {}
    usual = _most_functions(settings, training, candidates[initial])

    def error(radial: Radial) -> float:
        if radial not in errors:
            if (
                settings.time_limit is not None
                and time.monotonic() - start > TRIALS_TIME_FRACTION * settings.time_limit
            ):
                return np.inf
            share = _most_functions(settings, training, radial.cutoff) / usual
            basis = _trial_basis(settings, subset, radial, share)
            errors[radial] = trial_error(basis, subset, reference, workers, deadline)
            progress.add(trial_cost(subset, basis.n_functions, workers))
            log(
                f"  trial: {radial.name}, cutoff {radial.cutoff:g} Å, {basis.n_functions} functions: validation error "
                f"{errors[radial]:.3g}"
            )
        return errors[radial]

    best = _hill_climb([Radial(cutoff, *DEFAULT_FUNCTIONS) for cutoff in candidates], initial, error)
    for functions in OTHER_FUNCTIONS:
        other = Radial(best.cutoff, *functions)
        if error(other) < OTHER_FUNCTIONS_FACTOR * errors[best]:
            best = other
    tried = ", ".join(
        f"{radial.name} {radial.cutoff:g} Å {value / errors[best]:.3f}" for radial, value in errors.items()
    )
    reason = (
        f"cross-validation on {len(subset)} structures, potentials of equal computing time (a longer cutoff has fewer "
        f"functions); a shorter cutoff than the first must lower the error by {1 - SHORTER_CUTOFF_FACTOR:.0%}; errors relative "
        f"to the chosen one: {tried}"
    )
    for limit, name, more in ((candidates[0], "shortest", "shorter"), (candidates[-1], "longest", "longer")):
        if best.cutoff == limit:
            reason += f"; {limit:g} Å is the {name} cutoff of the search: a {more} one may be better"
    return best, reason


def candidate_cutoffs(spacing: float) -> tuple[list[float], int]:
    """Return all candidate cutoffs (Å), rising, and the place of the initial one.

    :param spacing: median nearest-neighbour distance (Å).
    """
    step = max(SHELL_STEP * spacing, MIN_STEP)
    lowest, highest = max(SHORTEST_SHELLS * spacing, CUTOFF_RANGE[0]), CUTOFF_RANGE[1]
    initial = float(np.clip(INITIAL_SHELLS * spacing, *INITIAL_RANGE))
    below: list[float] = []
    above: list[float] = []
    if initial > lowest:
        below = [lowest, *np.arange(initial - step, lowest + 0.1, -step).tolist()[::-1]]
    if initial < highest:
        above = [*np.arange(initial + step, highest - 0.1, step).tolist(), highest]
    return [round(cutoff, 1) for cutoff in [*below, initial, *above]], len(below)


def _hill_climb(candidates: Sequence[Radial], start: int, error: Callable[[Radial], float]) -> Radial:
    """Increase the cutoff from the start while the error falls enough, or else decrease it while the error does not rise, if
    that lowers the error much.
    """
    best = start
    error(candidates[best])
    while best + 1 < len(candidates) and error(candidates[best + 1]) < LONGER_CUTOFF_FACTOR * error(candidates[best]):
        best += 1
    if best > start:
        return candidates[best]
    while best > 0 and error(candidates[best - 1]) <= error(candidates[best]):
        best -= 1
    is_much_better = error(candidates[best]) < SHORTER_CUTOFF_FACTOR * error(candidates[start])
    return candidates[best if is_much_better else start]


def _nearest_neighbour_distance(training: Sequence[Frame]) -> float | None:
    """Return the median nearest-neighbour distance (Å); None without neighbours."""
    nearest: list[float] = []
    for frame in training:
        if frame.is_first and (len(frame.atoms) > 1 or frame.atoms.pbc.any()):
            first, _, distances = neighbours(frame.atoms, CUTOFF_RANGE[1])
            shortest = np.full(len(frame.atoms), np.inf)
            np.minimum.at(shortest, first, distances)
            nearest += shortest[np.isfinite(shortest)].tolist()
    return float(np.median(nearest)) if nearest else None


def _subset(training: Sequence[Frame]) -> list[Frame]:
    """Return a random but reproducible subset of structures without duplicates, up to the largest number of atoms."""
    chosen, atoms = [], 0
    for index in np.random.default_rng(0).permutation(len(training)).tolist():
        frame = training[index]
        if frame.is_first and atoms + len(frame.atoms) <= TRIAL_ATOMS:
            chosen.append(replace(frame, n_equal=1, virial=None))
            atoms += len(frame.atoms)
    return chosen


def _most_functions(settings: FitSettings, training: Sequence[Frame], cutoff: float) -> int:
    """Return the largest number of functions of an element in a potential, which falls with the cutoff."""
    return choose_numbers_of_functions(settings, training, cutoff)[1]


def _trial_basis(settings: FitSettings, subset: Sequence[Frame], radial: Radial, share: float) -> Basis:
    """Return the basis of a trial: at equal cost of the potential, a longer cutoff has fewer functions.

    :param share: largest number of functions of the potential, relative to that with the initial cutoff.
    """
    rows = sum(3 * len(frame.atoms) for frame in subset) / len(settings.elements)
    n_functions = int(max(FEWEST, min(TRIAL_FUNCTIONS * share, rows // LABELS_PER_FUNCTION)))
    return Basis(basis_settings(settings, shortest_distances(subset, radial.cutoff), radial, n_functions))
