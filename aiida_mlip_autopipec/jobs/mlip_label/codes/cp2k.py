"""CP2K with k-points, which ASE's calculator does not have."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ase import Atoms

_DFT = re.compile(r"^[ \t]*&DFT\b.*$", re.IGNORECASE | re.MULTILINE)


def adapt(parameters: dict[str, Any], atoms: Atoms | None) -> dict[str, Any]:
    """Return keyword arguments in which the mesh `kpts`, unless it is the gamma point alone, is a section of the input."""
    adapted = dict(parameters)
    mesh = adapted.pop("kpts", None)
    if mesh is not None and max(mesh) > 1:
        adapted["inp"] = with_kpoints(adapted.get("inp", ""), mesh)
    return adapted


def with_kpoints(text: str, mesh: Sequence[int]) -> str:
    """Return an input with a mesh of k-points."""
    section = f"    &KPOINTS\n      SCHEME MONKHORST-PACK {' '.join(map(str, mesh))}\n    &END KPOINTS"
    if not _DFT.search(text):
        return f"{text}\n&FORCE_EVAL\n  &DFT\n{section}\n  &END DFT\n&END FORCE_EVAL\n".lstrip()
    return _DFT.sub(lambda match: f"{match.group()}\n{section}", text, count=1)
