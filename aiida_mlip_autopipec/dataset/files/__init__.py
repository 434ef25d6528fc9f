"""Structures and labels in files: formats, label names, checks, writing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from ...config.schemas.label_keys import LabelKeys
from ..species import explain_species
from . import aims, ase_formats, cp2k, espresso, extxyz, pickled, vasp
from .checks import number_fault
from .frames import FrameError, RawFrame, ReadResult, SkippedStep, format_reasons
from .keys import LabelError, copy_geometry, labels_of, missing_labels, plain_info
from .notes import Notes
from .pickled_frame import ForeignObjectError
from .writing import replacing

__all__ = ["WRITTEN_SUFFIXES", "LabelKeys", "ReadResult", "check_suffix", "read_file", "write_file"]

PICKLE = ".pckl.gzip"
WRITTEN_SUFFIXES = (PICKLE, ".db", ".extxyz", ".traj", ".xyz")
READ_NAMES = (*WRITTEN_SUFFIXES, ".xml (vasprun.xml)", "OUTCAR", ".out, .pwo, .log (pw.x, CP2K, FHI-aims)")

_PROGRAM_SUFFIXES = (".out", ".pwo", ".log")
_HEAD_BYTES = 1 << 18
"""Number of leading bytes of an output in which the name of its program is searched."""


class _UnreadableError(ValueError):
    """A frame that cannot be used although the file is not damaged."""


_Read = Callable[[Path], Iterator[RawFrame | SkippedStep]] | Callable[[Path], Iterator[RawFrame]]


class _Format(NamedTuple):
    write: Callable[[Path, Sequence[Atoms]], None] | None
    read: _Read


_WRITTEN = {
    PICKLE: _Format(pickled.write_pickle, pickled.read_pickle),
    ".db": _Format(ase_formats.write_database, ase_formats.read_database),
    ".extxyz": _Format(extxyz.write_extxyz, extxyz.read_extxyz),
    ".traj": _Format(ase_formats.write_trajectory, ase_formats.read_trajectory),
    ".xyz": _Format(extxyz.write_extxyz, extxyz.read_extxyz),
}
_PROGRAMS = {
    espresso.START: _Format(None, espresso.read_pw),
    cp2k.START: _Format(None, cp2k.read_cp2k),
    aims.START: _Format(None, aims.read_aims),
}


def check_suffix(path: Path) -> None:
    """Check that the format of a file can be written.

    :raises ValueError: if its suffix is not one of :data:`WRITTEN_SUFFIXES`.
    """
    if _written_format(path) is None:
        raise ValueError(f"{path}: cannot be written; the suffix must be one of {', '.join(WRITTEN_SUFFIXES)}")


def write_file(path: Path, frames: Sequence[Atoms]) -> None:
    """Write labelled structures; the file is created or replaced only when complete.

    :param frames: structures with energy (eV), forces (n, 3) (eV/Å) and optionally stress (6,) (eV/Å^3).
    """
    format_ = _written_format(path)
    if format_ is None or format_.write is None:
        raise ValueError(f"{path}: cannot be written; the suffix must be one of {', '.join(WRITTEN_SUFFIXES)}")
    kept = [_with_labels(copy_geometry(atoms, plain_info(atoms.info)), atoms.calc.results) for atoms in frames]
    with replacing(path) as temporary:
        format_.write(temporary, kept)


def read_file(
    path: Path,
    keys: LabelKeys | None = None,
    *,
    trust_pickle: bool = False,
    require_labels: bool = False,
    with_labels: bool = True,
) -> ReadResult:
    """Read structures and their labels.

    :param keys: names of the labels in the file; by default all common names are searched.
    :param trust_pickle: whether to unpickle ``.pckl.gzip`` without restrictions, which runs any code in the file.
    :param require_labels: whether a structure without energy or forces is an error.
    :param with_labels: whether labels are read; otherwise faults in them are no error.
    :raises FileNotFoundError: if the file does not exist.
    :raises ValueError: if the suffix is unknown; the file is damaged; a structure has non-finite numbers, or different
        values of one label under several names; a required label is missing; or no step of a calculation has labels.
        The message gives the file and the frame.
    """
    keys = keys or LabelKeys()
    if not path.exists():
        raise FileNotFoundError(f"{path}: does not exist")
    if not path.is_file():
        raise ValueError(f"{path}: is not a regular file")
    format_ = _format_of(path)
    read = partial(pickled.read_pickle, trust=True) if trust_pickle and format_ is _WRITTEN[PICKLE] else format_.read
    if not with_labels and read is extxyz.read_extxyz:
        read = partial(extxyz.read_extxyz, with_labels=False)
    return _read(path, read, keys, require_labels, with_labels)


def _read(path: Path, read: _Read, keys: LabelKeys, require_labels: bool, with_labels: bool) -> ReadResult:
    frames: list[Atoms] = []
    skipped: dict[int, str] = {}
    notes, missing = Notes(), _MissingLabels()
    number = 0
    try:
        for item in read(path):
            if isinstance(item, SkippedStep):
                skipped[number] = item.reason
            else:
                record = missing.at(number) if require_labels else None
                frames.append(_structure(item, keys, record, with_labels))
                if with_labels:
                    notes.add(item, frames[-1])
            number += 1
    except ForeignObjectError as error:
        raise ValueError(
            f"{path}: not read, because {_one_line(error)}. With --trust-pickle (trust_pickle=True) it is "
            "read, and any code in it runs: use it only if you trust where the file comes from"
        ) from error
    except ImportError:
        raise
    except (_UnreadableError, LabelError) as error:
        raise ValueError(f"{path}: frame {number} (counted from 0): {_one_line(error, 900)}") from error
    except Exception as error:  # a damaged file can raise anything
        if isinstance(error, KeyError) and error.args and isinstance(error.args[0], str):
            # The only names that ASE looks up are chemical symbols.
            raise ValueError(f"{path}: frame {number}: {explain_species(error.args[0])}") from error
        frame = error.frame if isinstance(error, FrameError) else number
        raise ValueError(
            f"{path}: damaged, or not in the format of its suffix, at frame {frame} (counted from 0): {_one_line(error)}"
        ) from error
    if missing.numbers:
        raise ValueError(f"{path}: {_one_line(missing.error(number), 900)}")
    if skipped and not frames:
        raise ValueError(f"{path}: no step has usable labels: {format_reasons(skipped)}")
    if not frames:
        raise ValueError(f"{path}: contains no structures")
    return ReadResult(frames, skipped, notes.lines())


class _MissingLabels:
    """The structures of a file without energy or forces, and a message on the first one."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self._first = ""

    def at(self, number: int) -> Callable[[str], None]:
        """Return a function that records the message on the frame of a number."""

        def record(message: str) -> None:
            self._first = self._first or message
            self.numbers.append(number)

        return record

    def error(self, total: int) -> ValueError:
        """Return the error for a file of so many frames."""
        count = len(self.numbers)
        counted = f"; {count} of {total} frames lack labels" if count > 1 else ""
        return ValueError(f"frame {self.numbers[0]} (counted from 0): {self._first}{counted}")


def _structure(
    frame: RawFrame, keys: LabelKeys, record_missing: Callable[[str], None] | None, with_labels: bool
) -> Atoms:
    atoms = copy_geometry(frame.atoms, plain_info(frame.atoms.info, keys))
    fault = number_fault(atoms)
    if fault is None and with_labels:
        labels = labels_of(frame, keys)
        fault = number_fault(_with_labels(atoms, labels))
        missing = missing_labels(frame, labels) if record_missing is not None and fault is None else None
        if record_missing is not None and missing is not None:
            record_missing(f"({atoms.get_chemical_formula()}) {missing}")
    if fault is not None:
        raise _UnreadableError(f"({atoms.get_chemical_formula()}) {fault}")
    return atoms


def _with_labels(atoms: Atoms, results: dict[str, Any]) -> Atoms:
    labels = {name: results[name] for name in ("energy", "forces", "stress") if results.get(name) is not None}
    if "energy" in labels:
        labels["energy"] = float(labels["energy"])
    atoms.calc = SinglePointCalculator(atoms, **labels) if labels else None
    return atoms


def _written_format(path: Path) -> _Format | None:
    return next((format_ for suffix, format_ in _WRITTEN.items() if path.name.lower().endswith(suffix)), None)


def _format_of(path: Path) -> _Format:
    format_ = _written_format(path)
    if format_ is not None:
        return format_
    if path.suffix.lower() == ".xml":
        return _Format(None, vasp.read_vasprun)
    if "OUTCAR" in path.name.upper():
        return _Format(None, vasp.read_outcar)
    if path.suffix.lower() in _PROGRAM_SUFFIXES:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES).decode("utf-8", errors="replace")
        found = [(head.find(start), format_) for start, format_ in _PROGRAMS.items() if start in head]
        if not found:
            raise ValueError(
                f"{path}: is not an output of pw.x, CP2K or FHI-aims: it contains none of {', '.join(_PROGRAMS)}"
            )
        return min(found, key=lambda pair: pair[0])[1]
    raise ValueError(f"{path}: the name must end in one of {', '.join(READ_NAMES)}")


def _one_line(error: Exception, max_length: int = 300) -> str:
    """Return the message of an error in one line, with control characters of the file escaped."""
    text = " ".join(str(error).split()) or type(error).__name__
    text = "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)
    return text if len(text) <= max_length else f"{text[:max_length]}..."
