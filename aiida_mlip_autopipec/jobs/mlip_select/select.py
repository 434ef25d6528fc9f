"""A selection, from the structures to the file of results."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from mlip_common.atomic import atomic_write
from mlip_common.errors import ProgramError, log

from .basis import generic_basis
from .descriptors import compute_descriptors, content_key, descriptor_scales
from .greedy import Candidates, select_greedily
from .scores import SCORES
from .settings import SelectionSettings

SELECTION = Path("selection.json")


def select(
    settings: SelectionSettings, candidates: Sequence[Atoms], known: Sequence[Atoms], workers: int
) -> dict[str, Any]:
    """Select structures and return the content of :data:`SELECTION`.

    :raises ProgramError: of the kind `bad_input`, if a structure cannot be used, or `nothing_new`, if all candidates are known.
    """
    if not candidates:
        raise ProgramError("bad_input", "there are no candidates")
    _check("candidate", candidates)
    _check("known structure", known)
    elements = sorted({symbol for atoms in [*candidates, *known] for symbol in atoms.get_chemical_symbols()})
    basis = generic_basis(elements, settings.n_functions)
    log(
        f"{len(candidates)} candidates and {len(known)} known structures of {', '.join(elements)}: "
        f"{basis.n_functions} functions, cutoff {basis.cutoff:.2f} Å"
    )
    # The order of sums, and so rounding, must not depend on the order of the input.
    order = sorted(range(len(candidates)), key=lambda index: content_key(candidates[index]))
    descriptors = compute_descriptors(basis, [candidates[index] for index in order], workers)
    of_known = compute_descriptors(basis, sorted(known, key=content_key), workers)
    blocks = [int(candidates[index].info.get("block", 0)) for index in order]
    # The scales must not change if more blocks follow.
    first = [descriptor for descriptor, block in zip(descriptors, blocks, strict=True) if block == min(blocks)]
    scales = descriptor_scales(basis, [*first, *of_known])
    descriptors, of_known = (
        [descriptor.scaled(scales) for descriptor in descriptors],
        [descriptor.scaled(scales) for descriptor in of_known],
    )
    selected, left = select_greedily(
        Candidates(
            np.array([descriptor.mean for descriptor in descriptors]),
            [content_key(candidates[index]) for index in order],
            [str(candidates[index].info.get("family", "unknown")) for index in order],
            blocks,
        ),
        np.array([descriptor.mean for descriptor in of_known]).reshape(len(of_known), basis.n_functions),
        SCORES[settings.method](descriptors, of_known),
        settings.count,
        settings.per_block,
        settings.representative,
    )
    if not selected:
        raise ProgramError("nothing_new", f"none of the {len(candidates)} candidates differs from the known structures")
    log(
        f"{len(selected)} selected; score of the last {selected[-1].score:.3g}, "
        f"of the best remaining candidate {max(left.values(), default=0):.3g}"
    )
    # Keys of stored nodes: asked = requested number, worth = score, left_out = not selected.
    return {
        "method": settings.method,
        "asked": settings.count,
        "n_candidates": len(candidates),
        "n_known": len(known),
        "n_functions": basis.n_functions,
        "cutoff_A": basis.cutoff,
        "chosen": [
            {"index": order[item.index], "rank": rank, "reason": item.reason, "worth": item.score}
            for rank, item in enumerate(selected)
        ],
        "left_out": sorted(
            ({"index": order[index], "worth": score} for index, score in left.items()), key=lambda item: item["index"]
        ),
    }


def _check(name: str, structures: Sequence[Atoms]) -> None:
    for index, atoms in enumerate(structures):
        label = f"{name} {index} ({atoms.get_chemical_formula()})"
        if not len(atoms):
            raise ProgramError("bad_input", f"{name} {index} has no atoms")
        if atoms.pbc.any() and not atoms.pbc.all():
            raise ProgramError(
                "bad_input", f"{label}: is periodic in some directions only; make slabs periodic, with vacuum"
            )
        if not (np.isfinite(atoms.positions).all() and np.isfinite(atoms.cell.array).all()):
            raise ProgramError("bad_input", f"{label}: its positions or cell are not finite")
        if atoms.pbc.all() and abs(atoms.cell.volume) < 1e-6:
            raise ProgramError("bad_input", f"{label}: is periodic, but its cell has no volume")
        if (atoms.numbers < 1).any():
            raise ProgramError("bad_input", f"{label}: contains an atomic number that is no element")


def write_selection(selection: dict[str, Any]) -> None:
    """Write the results into the working folder."""
    with atomic_write(SELECTION) as temporary:
        temporary.write_text(json.dumps(selection))
