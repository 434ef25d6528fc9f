"""A fit from the input to the files of the potential."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from acecommon.deadline import Deadline
from acecommon.errors import ExplainedError, log
from pyace import ACEBBasisSet

from .active_set import write_active_set
from .basis import Basis, basis_settings, choose_numbers_of_functions
from .checkpoint import clear
from .data import Frame, reference_energies, shortest_distances
from .delivery import deliver, write_metrics
from .learning import learning_curve
from .linear import affordable, fit_linear
from .neighbours import neighbours
from .nonlinear import fit_nonlinear
from .radial import choose_radial
from .repulsion import set_core_repulsion
from .settings import Settings

POTENTIAL = "potential.yace"


def train(settings: Settings, frames: Sequence[Frame], workers: int, deadline: Deadline, out: Path) -> None:
    """Fit, convert, check and write everything into the folder `out`.

    :raises ExplainedError: if there can be no good potential.
    """
    start = time.monotonic()
    training = [frame for frame in frames if frame.split == "train"]
    if not training:
        raise ExplainedError("bad_input", "no structure is marked to train on")
    reference = reference_energies(settings, frames)
    radial, why_radial = choose_radial(settings, training, reference, workers, deadline)
    cutoff = radial.cutoff
    shortest = shortest_distances(training, cutoff)
    if not shortest:
        raise ExplainedError(
            "no_neighbours", f"no two atoms are closer than the cutoff of {cutoff:g} Å: raise the cutoff"
        )
    lonely = sum(len(neighbours(frame.atoms, cutoff)[0]) == 0 for frame in training)
    log(
        f"{len(training)} structures to train on, {len(frames) - len(training)} to test on; "
        f"{lonely} without neighbours inside the cutoff of {cutoff:g} Å"
    )
    in_pool, most = choose_numbers_of_functions(settings, training, cutoff)
    basis = Basis(basis_settings(settings, shortest, radial, in_pool))
    if settings.time_limit is not None and settings.n_functions == "auto":
        left = settings.time_limit - (time.monotonic() - start)
        fewer = affordable(basis, training, workers, left)
        if fewer < in_pool:
            log(f"a pool of {fewer} functions an element instead of {in_pool}: more would not be done in {left:.0f} s")
            basis = Basis(basis_settings(settings, shortest, radial, fewer))
    most *= len(settings.elements)
    solution = fit_linear(settings, basis, training, reference, most, workers, deadline)
    configuration, engine, chosen = solution.configuration(), "linear", solution.report()
    if settings.engine == "nonlinear":
        configuration, engine, more = fit_nonlinear(settings, solution, training, reference, workers, deadline)
        chosen |= more
    if settings.core_repulsion:
        chosen["core_repulsion"] = set_core_repulsion(configuration)
    chosen |= {"cutoff": why_radial, "radial_functions": radial.name}
    chosen["n_functions"] = _reason(
        settings.n_functions,
        f"the most, up to {most}, that predict as well as any number, by cross-validation: of a pool of "
        f"{solution.basis.n_functions} those that matter most. At most: a half of the atoms, an eighth of the labels, what a "
        f"fast potential and the time limit allow, {settings.max_functions} an element",
    )
    basis_set = ACEBBasisSet(configuration)
    basis_set.save(str(out / "potential.yaml"))
    basis_set.to_ACECTildeBasisSet().save_yaml(str(out / POTENTIAL))
    write_active_set(basis_set, training, out / "potential.asi")
    facts = {
        "engine": engine,
        "elements": settings.elements,
        "n_functions": sum(len(functions) for functions in [*basis_set.basis_rank1, *basis_set.basis]),
        "cutoff_A": float(basis_set.cutoffmax),
        "n_structures_without_neighbours": lonely,
        "reference_energies_eV": reference.of_element,
        "reference_energies_source": reference.source,
        "stress_used": any(frame.virial is not None for frame in training),
        "chosen": chosen,
        "learning_curve": learning_curve(solution, workers),
    }
    metrics = deliver(out / POTENTIAL, frames, reference, facts, workers)
    metrics["wall_time_s"] = time.monotonic() - start
    write_metrics(metrics, out)
    clear()


def _reason(asked: Any, why: str) -> str:
    return why if asked == "auto" else "given"
