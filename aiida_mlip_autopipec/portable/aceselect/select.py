"""A selection from the structures to the file that tells of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from acecommon.errors import ExplainedError, log
from acecommon.whole import whole
from ase import Atoms

from .basis import generic_basis
from .choose import Candidates, choose
from .features import compute_views, content_key, usual_units
from .settings import Settings
from .worth import MEASURES

SELECTION = Path("selection.json")


def select(settings: Settings, candidates: Sequence[Atoms], known: Sequence[Atoms], workers: int) -> dict[str, Any]:
    """Choose and return what :data:`SELECTION` holds.

    :raises ExplainedError: if a structure cannot be used.
    """
    if not candidates:
        raise ExplainedError("bad_input", "there are no candidates")
    _check("candidate", candidates)
    _check("known structure", known)
    elements = sorted({symbol for atoms in [*candidates, *known] for symbol in atoms.get_chemical_symbols()})
    basis = generic_basis(elements, settings.n_functions)
    log(
        f"{len(candidates)} candidates and {len(known)} known structures of {', '.join(elements)}: "
        f"{basis.n_functions} functions, cutoff {basis.cutoff:.2f} Å"
    )
    # In an order of their own, so that the one they come in changes no sum.
    order = sorted(range(len(candidates)), key=lambda index: content_key(candidates[index]))
    views = compute_views(basis, [candidates[index] for index in order], workers)
    theirs = compute_views(basis, sorted(known, key=content_key), workers)
    blocks = [int(candidates[index].info.get("block", 0)) for index in order]
    # Units must not change when more parts follow.
    first = [view for view, block in zip(views, blocks, strict=True) if block == min(blocks)]
    units = usual_units(basis, [*first, *theirs])
    views, theirs = [view.scaled(units) for view in views], [view.scaled(units) for view in theirs]
    chosen, left = choose(
        Candidates(
            np.array([view.mean for view in views]),
            [content_key(candidates[index]) for index in order],
            [str(candidates[index].info.get("family", "unknown")) for index in order],
            blocks,
        ),
        np.array([view.mean for view in theirs]).reshape(len(theirs), basis.n_functions),
        MEASURES[settings.method](views, theirs),
        settings.count,
        settings.per_block,
    )
    log(
        f"{len(chosen)} chosen; the last was worth {chosen[-1].worth:.3g}, the best left {max(left.values(), default=0):.3g}"
    )
    return {
        "method": settings.method,
        "asked": settings.count,
        "n_candidates": len(candidates),
        "n_known": len(known),
        "n_functions": basis.n_functions,
        "cutoff_A": basis.cutoff,
        "chosen": [
            {"index": order[one.index], "rank": rank, "reason": one.reason, "worth": one.worth}
            for rank, one in enumerate(chosen)
        ],
        "left_out": sorted(
            ({"index": order[index], "worth": worth} for index, worth in left.items()), key=lambda one: one["index"]
        ),
    }


def _check(name: str, structures: Sequence[Atoms]) -> None:
    for index, atoms in enumerate(structures):
        what = f"{name} {index} ({atoms.get_chemical_formula()})"
        if not len(atoms):
            raise ExplainedError("bad_input", f"{name} {index} has no atoms")
        if atoms.pbc.any() and not atoms.pbc.all():
            raise ExplainedError(
                "bad_input", f"{what}: is periodic in some directions only; make slabs periodic, with vacuum"
            )
        if not (np.isfinite(atoms.positions).all() and np.isfinite(atoms.cell.array).all()):
            raise ExplainedError("bad_input", f"{what}: its positions or cell are not finite")
        if atoms.pbc.all() and abs(atoms.cell.volume) < 1e-6:
            raise ExplainedError("bad_input", f"{what}: is periodic, but its cell has no volume")
        if (atoms.numbers < 1).any():
            raise ExplainedError("bad_input", f"{what}: contains what is no element")


def write_selection(selection: dict[str, Any]) -> None:
    """Write the file into the working folder, whole or not at all."""
    with whole(SELECTION) as beside:
        beside.write_text(json.dumps(selection))
