"""A fit, from the input to the files of the potential."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from mlip_common.deadline import Deadline
from mlip_common.errors import ProgramError, log
from mlip_common.parallel import shared, worker_pool
from mlip_common.progress import progress
from pyace import ACEBBasisSet

from .active_set import write_active_set
from .basis import MAX_CANDIDATES, Basis, basis_settings, choose_numbers_of_functions, embedding_coefficients
from .checkpoint import remove_checkpoints
from .cpu_time import cpu_seconds
from .data import Frame, reference_energies, shortest_distances
from .expected_error import expected_errors, hold_out_errors
from .learning_curve import learning_curve
from .linear import Solution, fit_linear, row_seconds
from .metrics import compute_metrics, write_metrics
from .neighbours import neighbours
from .nonlinear import fit_nonlinear
from .plan import ACTIVE_SET, CURVES, ERRORS, NONLINEAR, ROWS, TRIALS, affordable_functions, step_costs
from .radial import choose_radial
from .repulsion import set_core_repulsion
from .sanity import check_sanity
from .settings import FitSettings
from .teacher import NO_PRIOR, best_of, fit_differences, read_teacher, reference_with_teacher, report_of

POTENTIAL = "potential.yace"

STRONGER_RIDGES = (1.0, 1e2, 1e4, 1e6)
"""Factors by which the ridge is raised in turn until the potential passes the check."""

EXPECTED_CUTOFF = 6.0
"""Cutoff (Å) for the first estimate of the time, before the cutoff is chosen."""


def train(
    settings: FitSettings,
    frames: Sequence[Frame],
    workers: int,
    deadline: Deadline,
    out: Path,
    teacher: Path | None = None,
) -> None:
    """Fit, convert and check the potential, and write all files into the folder `out`.

    :param teacher: the `potential.yaml` of a teacher, which the fit may use as prior.
    :raises ProgramError: if the data do not give a usable potential.
    """
    start, cpu_start = time.monotonic(), cpu_seconds()
    training = [frame for frame in frames if frame.split == "train"]
    if not training:
        raise ProgramError("bad_input", "there are no training structures: info['split'] is 'test' in all structures")
    reference = reference_energies(settings, frames)
    n_atoms = sum(len(frame.atoms) for frame in frames)

    def plan(candidates: int, most: int) -> None:
        elements = len(settings.elements)
        progress.plan(step_costs(settings, training, n_atoms, elements * candidates, elements * most, workers))

    with contextlib.suppress(ProgramError):
        plan(*choose_numbers_of_functions(settings, training, EXPECTED_CUTOFF))
        progress.begin(TRIALS)
    radial, radial_reason = choose_radial(settings, training, reference, workers, deadline)
    cutoff = radial.cutoff
    shortest = shortest_distances(training, cutoff)
    if not shortest:
        if all(len(frame.atoms) == 1 for frame in training):
            remedy = "all training structures are isolated atoms: add structures with bonds, such as crystals"
        else:
            remedy = "raise the cutoff"
        raise ProgramError("no_neighbours", f"no two atoms are closer than the cutoff of {cutoff:g} Å: {remedy}")
    isolated = sum(len(neighbours(frame.atoms, cutoff)[0]) == 0 for frame in training)
    log(
        f"{len(training)} training structures, {len(frames) - len(training)} test structures; "
        f"{isolated} without neighbours inside the cutoff of {cutoff:g} Å"
    )
    candidates, most = choose_numbers_of_functions(settings, training, cutoff)
    basis = Basis(basis_settings(settings, shortest, radial, candidates))
    if settings.time_limit is not None and settings.n_functions == "auto":
        left = settings.time_limit - (time.monotonic() - start)
        slowness = row_seconds(basis, training) / ROWS
        fewer, most = affordable_functions(settings, training, n_atoms, candidates, most, workers, left / slowness)
        if fewer < candidates:
            log(
                f"{fewer} candidate functions per element instead of {candidates}: more would take longer than {left:.0f} s"
            )
            basis = Basis(basis_settings(settings, shortest, radial, fewer))
            candidates = fewer
    plan(candidates, most)
    most_in_total = most * len(settings.elements)
    solution = fit_linear(settings, basis, training, reference, most_in_total, workers, deadline)
    reasons = {
        "cutoff": radial_reason,
        "radial_functions": radial.name,
        "n_functions": _reason(
            settings.n_functions,
            f"the largest number, up to {most_in_total}, with a validation error near the minimum, selected by backward "
            f"elimination from {basis.n_functions} candidates. Limits: half the number of atoms of the scarcest element times "
            "the number of elements, an eighth of the number of energies and force components, the cost of the potential, the "
            f"time of the fit, `time_limit`, {MAX_CANDIDATES} candidates, {settings.max_functions} functions per element",
        ),
    }
    facts: dict[str, Any] = {}
    if teacher is not None:
        known = read_teacher(teacher, settings, shortest)
        adjusted = reference_with_teacher(known, training, reference)
        differences = fit_differences(settings, known, training, adjusted, workers, deadline)
        fits = {NO_PRIOR: solution, **differences}
        facts["teacher"] = report_of(fits)
        if (best := best_of(fits)) != NO_PRIOR:
            solution, reference, reasons = fits[best], adjusted, dict.fromkeys(reasons, "that of the teacher")

    def checked(configuration: Any) -> _CheckedPotential:
        core = set_core_repulsion(configuration, shortest) if settings.core_repulsion else None
        basis_set = _write(configuration, out)
        check_sanity(out / POTENTIAL, training, reference, workers)
        return _CheckedPotential(basis_set, core)

    solution, potential = _checked_solution(settings, solution, checked)
    engine, chosen = "linear", solution.report()
    if settings.engine == "nonlinear":
        progress.begin(NONLINEAR)
        configuration, engine, more = fit_nonlinear(settings, solution, training, reference, workers, deadline)
        chosen |= more
        potential = checked(configuration)
    elif potential is None:
        potential = checked(solution.configuration())
    if potential.core_repulsion is not None:
        chosen["core_repulsion"] = potential.core_repulsion
    chosen |= reasons
    basis_set = potential.basis_set
    progress.begin(ACTIVE_SET)
    active_set = out / "potential.asi"
    # Another process writes the active set, while this one fits without a fold and computes the active set of that fit.
    with worker_pool(workers, (basis_set, training, solution.has_prior), tasks=1) as mapped:
        written = mapped(_write_active_set, [active_set])
        held_out = hold_out_errors(solution, training, reference)
        list(written)
    calibration = expected_errors(held_out, frames, reference, out / "potential.yaml", active_set)
    progress.begin(CURVES)
    curves = learning_curve(solution, frames, workers)
    facts |= {
        "engine": engine,
        "elements": settings.elements,
        "n_functions": len(solution.selection.functions) if engine == "linear" else _number_of_functions(basis_set),
        "cutoff_A": float(basis_set.cutoffmax),
        "embedding_eV": embedding_coefficients(basis_set.to_BBasisConfiguration()) if engine == "linear" else {},
        "n_structures_without_neighbours": isolated,
        "reference_energies_eV": reference.of_element,
        "reference_energies_source": reference.source,
        "stress_used": any(frame.virial is not None for frame in training),
        "chosen": chosen,
        "learning_curve": curves,
        "expected_error": calibration,
    }
    progress.begin(ERRORS)
    metrics = compute_metrics(out / POTENTIAL, frames, reference, facts, workers)
    metrics["wall_time_s"] = time.monotonic() - start
    metrics["cpu_time_s"] = cpu_seconds() - cpu_start
    write_metrics(metrics, out)
    remove_checkpoints()


class _CheckedPotential(NamedTuple):
    """A written potential that has passed the check, and its core repulsion."""

    basis_set: Any
    core_repulsion: dict[str, dict[str, float]] | None


def _checked_solution(
    settings: FitSettings, solution: Solution, checked: Callable[[Any], _CheckedPotential]
) -> tuple[Solution, _CheckedPotential | None]:
    """Return a solution whose potential passes the check, if necessary with a stronger ridge, and that potential.

    If none passes, or the ridge is given, return the unchanged solution and None.

    :param checked: writes and checks the potential of a configuration; raises a `ProgramError` if it fails.
    """
    if settings.ridge != "auto":
        return solution, None
    for factor in STRONGER_RIDGES:
        stronger = replace(solution, choice=replace(solution.choice, ridge=factor * solution.choice.ridge))
        try:
            return stronger, checked(stronger.configuration())
        except ProgramError as error:
            log(f"with ridge {stronger.choice.ridge:g}: {error}")
    return solution, None


def _write_active_set(path: Path) -> None:
    basis_set, training, has_prior = shared()
    write_active_set(basis_set, training, path, prior=has_prior)


def _write(configuration: Any, out: Path) -> Any:
    """Write the `.yaml` and `.yace` files of the potential; return its basis set."""
    basis_set = ACEBBasisSet(configuration)
    basis_set.save(str(out / "potential.yaml"))
    basis_set.to_ACECTildeBasisSet().save_yaml(str(out / POTENTIAL))
    return basis_set


def _number_of_functions(basis_set: Any) -> int:
    return sum(len(functions) for functions in [*basis_set.basis_rank1, *basis_set.basis])


def _reason(requested: Any, reason: str) -> str:
    return reason if requested == "auto" else "given"
