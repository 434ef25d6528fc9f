"""Parsers of the jobs of programs: functions, because AiiDA's entry points cannot be methods; see `Program.parse`."""

from __future__ import annotations

from pathlib import Path

from aiida.orm import Data

from .catalogue import EXPLORE_STRUCTURES, PACE_TRAIN, SELECT_STRUCTURES, VALIDATE_POTENTIAL


def parse_explore_structures(dirpath: Path) -> dict[str, Data]:
    """Return `failure` if the exploration failed."""
    return EXPLORE_STRUCTURES.parse(dirpath)


def parse_pace_train(dirpath: Path) -> dict[str, Data]:
    """Return `metrics`, or `failure`."""
    return PACE_TRAIN.parse(dirpath)


def parse_select_structures(dirpath: Path) -> dict[str, Data]:
    """Return `failure` if the selection failed."""
    return SELECT_STRUCTURES.parse(dirpath)


def parse_validate_potential(dirpath: Path) -> dict[str, Data]:
    """Return `equilibrium` if it was computed, or `failure`."""
    return VALIDATE_POTENTIAL.parse(dirpath)
