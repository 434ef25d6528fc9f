"""Check of the numbers of a structure, and checksum of the structures of a file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

import numpy as np
from ase import Atoms

from ..quality import label_fault
from .keys import plain_info


def number_fault(atoms: Atoms) -> str | None:
    """Return which numbers of a structure (positions, cell, labels) are not finite or of the wrong shape, or None."""
    for name, array in (("positions", atoms.positions), ("cell", atoms.cell.array)):
        if not np.isfinite(array).all():
            return f"{name} not finite"
    if atoms.calc is None:
        return None
    fault = label_fault(atoms)
    return None if fault is None or fault.reason == "missing_label" else fault.detail


def checksum(frames: Sequence[Atoms]) -> str:
    """Return the SHA-256 of the numbers, labels and plain info of structures."""
    digest = hashlib.sha256(str(len(frames)).encode())
    for atoms in frames:
        results = atoms.calc.results if atoms.calc is not None else {}
        for name in ("energy", "forces", "stress"):
            if results.get(name) is not None:
                digest.update(f"{name}:".encode())
                digest.update(_bytes(results[name]))
        for array in (atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc):
            digest.update(_bytes(array))
        digest.update(json.dumps(plain_info(atoms.info), sort_keys=True).encode())
    return digest.hexdigest()


def _bytes(array: object) -> bytes:
    # SQLite stores -0.0 as 0.0.
    values = np.asarray(array, dtype="<f8") + 0.0
    return f"{values.shape}".encode() + values.tobytes()
