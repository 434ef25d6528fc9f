"""A potential file as an ASE calculator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .errors import INSTALL_PYACE, ProgramError

RECURSIVE = {"recursive_evaluator": True, "recursive": True}
"""Options of python-ace's calculator of a `.yace`: the evaluator that LAMMPS uses by default. Results are equal to rounding
errors; the default takes 1.5 times as long."""


def load_potential(path: Path, active_set: Path | None = None) -> Any:
    """Return the calculator of a `.yace`, or of a `.yaml` with its active set, which also gives extrapolation grades.

    :raises ProgramError: of the kind `not_installed` if python-ace is missing, `potential_unusable` if a file cannot be used.
    """
    try:
        from pyace import PyACECalculator
    except ImportError as error:
        raise ProgramError("not_installed", f"python-ace cannot be imported ({error}): {INSTALL_PYACE}") from error
    try:
        calculator = PyACECalculator(str(path), **(RECURSIVE if path.suffix == ".yace" else {}))
        if active_set is not None:
            calculator.set_active_set(str(active_set))
    except Exception as error:
        raise ProgramError("potential_unusable", f"{path} cannot be loaded: {error or type(error).__name__}") from error
    return calculator


def largest_grade(calculator: Any) -> float:
    """Return the largest extrapolation grade over the atoms of the last evaluated structure."""
    return float(np.max(calculator.results["gamma"]))
