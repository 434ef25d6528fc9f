"""Whether a code has converged, from its calculator and from its output files."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import Any

NOT_CONVERGED = re.compile(
    rb"convergence NOT achieved"  # pw.x
    rb"|SCF run NOT converged"  # CP2K
    rb"|nstep=\s*\d+ was not enough SCF cycles to converge"  # ABINIT
    rb"|self-consistency was not achieved in the given number"  # VASP 6
    rb"|Self-consistency cycle not converged|SCF cycle not converged"  # FHI-aims
    rb"|SCF NOT CONVERGED|wavefunction IS NOT FULLY CONVERGED"  # ORCA
    rb"|SCF cycles performed but system has not reached the groundstate"  # CASTEP
    rb"|SCF_NOT_CONV"  # SIESTA
    rb"|SCC is NOT converged"  # DFTB+
    rb"|Could not converge SCF iterations",  # Psi4
    re.IGNORECASE,
)
"""What codes write if the self-consistent cycle does not converge."""

CONVERGENCE_ERRORS = frozenset({"KohnShamConvergenceError", "SCFConvergenceError", "SCFError", "ConvergenceError"})
"""Names of exceptions that calculators (GPAW, Psi4 and others) raise if the self-consistent cycle does not converge."""

MAX_BYTES = 64 * 2**20
"""Larger files, such as wave functions, are not read."""


def is_convergence_error(error: BaseException) -> bool:
    """Return whether an exception says that the self-consistent cycle did not converge."""
    return not CONVERGENCE_ERRORS.isdisjoint(kind.__name__ for kind in type(error).__mro__)


def not_converged(calculator: Any, folder: Path) -> str | None:
    """Return why the self-consistent cycle of the last calculation has not converged, or None.

    :param calculator: ASE's VASP calculator, among others, has the attribute `converged`.
    :param folder: with the files that the code wrote.
    """
    if getattr(calculator, "converged", None) is False:
        return "the self-consistent cycle did not converge"
    for path in sorted(folder.rglob("*")):
        with contextlib.suppress(OSError):
            if path.is_file() and path.stat().st_size <= MAX_BYTES:
                found = NOT_CONVERGED.search(path.read_bytes())
                if found:
                    words = " ".join(found.group().decode(errors="replace").split())
                    return f"the self-consistent cycle did not converge ({path.name}: {words})"
    return None
