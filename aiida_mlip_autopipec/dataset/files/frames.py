"""Results of the readers of files: frames as stored in the file, and skipped steps with the reason."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ase import Atoms

_MAX_LISTED = 10
"""Maximum number of steps that a message lists; the rest is counted."""


@dataclass(frozen=True)
class RawFrame:
    """A structure and all named values of its frame, not yet identified as labels."""

    atoms: Atoms
    """Geometry and ``info`` only."""
    values: tuple[tuple[str, Any], ...]
    """Names and values; a name that occurs twice in the file, for example in info and calculator, occurs twice here."""


@dataclass(frozen=True)
class SkippedStep:
    """A step of a calculation without usable labels."""

    reason: str


class FrameError(ValueError):
    """A frame of a file that is damaged or incomplete.

    :ivar frame: its number, counted from 0.
    """

    def __init__(self, frame: int, message: str) -> None:
        super().__init__(message)
        self.frame = frame


@dataclass(frozen=True)
class ReadResult:
    """The structures of a file, its skipped steps, and notes for the user."""

    frames: list[Atoms]
    skipped: Mapping[int, str] = field(default_factory=dict)
    """Reasons by the number of the step in the file, counted from 0."""
    notes: tuple[str, ...] = ()

    def numbers(self) -> list[int]:
        """Return the number of each structure in the file, counted from 0 with the skipped steps."""
        total = len(self.frames) + len(self.skipped)
        return [number for number in range(total) if number not in self.skipped]

    def messages(self) -> list[str]:
        """Return one line on all skipped steps, with their number for each reason, and one line for each note."""
        if not self.skipped:
            return list(self.notes)
        total = len(self.frames) + len(self.skipped)
        return [f"{len(self.skipped)} of {total} steps skipped: {format_reasons(self.skipped)}", *self.notes]


def split_runs(lines: Iterable[str], begins: Callable[[str], object]) -> Iterator[Iterator[str]]:
    """Yield the lines of each run of a program in an output, to which runs with other atoms may be appended.

    :param begins: tells whether a line begins a run; lines before the first run belong to it.
    """
    number = 0

    def run_of(line: str) -> int:
        nonlocal number
        number += bool(begins(line))
        return max(number, 1)

    for _, run in itertools.groupby(lines, key=run_of):
        yield run


def raw_frame(atoms: Atoms, extra: Iterable[tuple[str, Any]] = ()) -> RawFrame:
    """Return a structure with all its values in ASE: info, arrays and results of the calculator."""
    values = [*atoms.info.items(), *extra]
    values += [(name, array) for name, array in atoms.arrays.items() if name not in ("numbers", "positions")]
    if atoms.calc is not None:
        values += list(atoms.calc.results.items())
    geometry = Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell.array, pbc=atoms.pbc)
    geometry.info = dict(atoms.info)
    return RawFrame(
        geometry, tuple((name, value) for name, value in values if isinstance(name, str) and value is not None)
    )


def whole_lines(path: Path) -> list[str]:
    """Return the lines of an output without an incomplete last line, which could end in a truncated number."""
    with path.open(encoding="utf-8", errors="replace") as file:
        return [line for line in file if line.endswith("\n")]


def format_reasons(skipped: Mapping[int, str]) -> str:
    """Return the number of skipped steps for each reason, and which, e.g. ``2 cut off (steps 3, 4)``."""
    steps = defaultdict(list)
    for step, reason in skipped.items():
        steps[reason].append(step)
    return "; ".join(f"{len(numbers)} {reason} ({_format_steps(numbers)})" for reason, numbers in steps.items())


def _format_steps(numbers: list[int]) -> str:
    listed = ", ".join(map(str, numbers[:_MAX_LISTED]))
    rest = f" and {len(numbers) - _MAX_LISTED} more" if len(numbers) > _MAX_LISTED else ""
    return f"step{'s' if len(numbers) > 1 else ''} {listed}{rest}, counted from 0"
