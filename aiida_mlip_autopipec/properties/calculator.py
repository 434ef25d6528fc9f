"""The calculator of python-ace for a potential file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..config.errors import UserError


def load_calculator(path: Path, title: str | None = None) -> Any:
    """Return python-ace's calculator of a `.yace` or `.yaml` file.

    :param title: name of the file in messages; by default its path.
    :raises UserError: if python-ace is missing, or cannot read the file.
    """
    try:
        from pyace import PyACECalculator
    except ImportError as error:
        raise UserError(f"python-ace cannot be imported ({error}): pip install 'aiida-mlip-autopipec[pace]'") from error
    try:
        # The evaluator that LAMMPS uses by default; the default of python-ace takes 1.5 times as long.
        recursive = path.suffix == ".yace"
        return PyACECalculator(str(path), recursive_evaluator=recursive, recursive=recursive)
    except Exception as error:  # python-ace raises any kind of error
        raise UserError(f"{title or path}: cannot be loaded as a potential: {error or type(error).__name__}") from error
