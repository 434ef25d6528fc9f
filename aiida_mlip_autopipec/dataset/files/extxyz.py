"""Extended XYZ, written without rounding."""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from ase import Atoms
from ase.io import iread
from ase.io.extxyz import key_val_dict_to_str, key_val_str_to_dict
from ase.stress import voigt_6_to_full_3x3_stress

from .frames import FrameError, RawFrame, raw_frame
from .keys import is_label_name

_MAX_LINE_BYTES = 1_000_000
"""Bytes; a file without line ends must not exhaust the memory."""
_MAX_COLUMNS = 1000
"""Largest number of columns of a frame that is read."""

_COLUMNS = re.compile(rb'Properties\s*=\s*"?([^\s"]+)', re.IGNORECASE)
_LATTICE = re.compile(rb"""(?<![^\s])(lattice)\s*=\s*["'{\[]\s*[-+.\d]""", re.IGNORECASE)
_MASK = "as_it_is_written_"
"""Prefix that hides the name of a stress or virial from ASE's parser."""
_XYZ_KEYS = ("Lattice", "Properties", "pbc")


def write_extxyz(path: Path, frames: Sequence[Atoms]) -> None:
    """Write labelled structures."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for atoms in frames:
            results = atoms.calc.results
            file.write(f"{len(atoms)}\n{_comment(atoms, results)}\n")
            rows = np.hstack([atoms.positions, results["forces"]]).tolist()
            for symbol, row in zip(atoms.symbols, rows, strict=True):
                file.write(f"{symbol} {_digits(row)}\n")


def read_extxyz(path: Path, *, with_labels: bool = True) -> Iterator[RawFrame]:
    """Yield the frames of a file.

    :param with_labels: whether labels in the comment line are read; otherwise it may contain words such as "forces".
    :raises ValueError: if the file is truncated, or a line belongs to no frame.
    """
    with path.open("rb") as file:
        has_mark = file.read(len(BOM_UTF8)) == BOM_UTF8
        file.seek(len(BOM_UTF8) if has_mark else 0)
        n_frames = _count_frames(file)
    if n_frames == 0:
        return
    read = 0
    parse = _parse_comment if with_labels else _parse_geometry
    # A byte order mark, as some editors write it, is no part of the text.
    with path.open(encoding="utf-8-sig" if has_mark else None) as text:
        frames = iread(text, index=":", format="extxyz", do_not_split_by_at_sign=True, properties_parser=parse)
        for atoms in frames:
            read += 1
            yield raw_frame(atoms)
    if read != n_frames:
        raise ValueError(f"{n_frames} frames by the numbers of atoms, but {read} can be read")


def _parse_comment(comment: str) -> dict[str, Any]:
    """Return the values of a comment line, including a stress or virial of 6 numbers, which ASE's parser rejects."""
    masked = re.sub(r"(?<!\S)(stress|virial)(?=\s*=)", rf"{_MASK}\1", comment)
    values = {key.replace(_MASK, ""): value for key, value in key_val_str_to_dict(masked).items()}
    for key, value in values.items():
        if isinstance(value, str):
            values[key] = value.replace(_MASK, "")
    for key in ("stress", "virial"):
        if key in values and np.size(values[key]) == 9:
            values[key] = np.reshape(values[key], (3, 3))
    return values


def _parse_geometry(comment: str) -> dict[str, Any]:
    """Return the values of a comment line that are not labels."""
    masked = re.sub(r"(?<!\S)(stress|virial)(?![^\s=])", rf"{_MASK}\1", comment)
    return {
        key: value for key, value in key_val_str_to_dict(masked).items() if not is_label_name(key.replace(_MASK, ""))
    }


def _count_frames(file: BinaryIO) -> int:
    """Count the frames and check their numbers of atoms and columns, for which ASE would allocate any memory."""
    line_number, n_frames = 0, 0
    lines = _lines(file)
    for line in lines:
        line_number += 1
        if not line.strip():
            if any(rest.strip() for rest in lines):
                raise FrameError(n_frames, f"line {line_number} is empty where the number of atoms of a frame belongs")
            return n_frames
        if not re.fullmatch(rb"\s*\d{1,12}\s*", line):
            raise FrameError(n_frames, f"line {line_number} is not the number of atoms of a frame: {line[:40]!r}")
        n_atoms = int(line)
        if n_atoms == 0:
            raise FrameError(n_frames, f"line {line_number}: a frame without atoms")
        comment = next(lines, None)
        if comment is None or not comment.endswith(b"\n"):
            raise FrameError(n_frames, f"the file ends inside this frame, at line {line_number + 1}: incomplete?")
        try:
            _check_columns(comment, line_number + 1)
            _check_lattice(comment, line_number + 1)
        except ValueError as error:
            raise FrameError(n_frames, str(error)) from error
        found, last = 0, comment
        for line in islice(lines, n_atoms):
            found, last = found + 1, line
        if found < n_atoms:
            raise FrameError(
                n_frames,
                f"the file ends inside this frame: line {line_number} announces {n_atoms} atoms, and {found} follow: "
                "incomplete?",
            )
        if not last.endswith(b"\n"):
            raise FrameError(
                n_frames,
                "the file ends inside this frame: its last line has no line end: incomplete? (If not, add a line end.)",
            )
        line_number += n_atoms + 1
        n_frames += 1
    return n_frames


def _lines(file: BinaryIO) -> Iterator[bytes]:
    number = 0
    while line := file.readline(_MAX_LINE_BYTES):
        number += 1
        if len(line) == _MAX_LINE_BYTES:
            raise ValueError(f"line {number} is longer than {_MAX_LINE_BYTES} bytes")
        yield line


def _check_columns(comment: bytes, line_number: int) -> None:
    """Reject an implausible number of columns, for which ASE would allocate memory."""
    match = _COLUMNS.search(comment)
    if match is None:
        return
    counts = match[1].split(b":")[2::3]
    if not all(re.fullmatch(rb"\d{1,4}", count) for count in counts) or sum(map(int, counts)) > _MAX_COLUMNS:
        raise ValueError(f"line {line_number}: Properties must name columns as name:type:count, at most {_MAX_COLUMNS}")


def _check_lattice(comment: bytes, line_number: int) -> None:
    """Reject a cell under a name in another case, which ASE would ignore."""
    match = _LATTICE.search(comment)
    if match is not None and match[1] != b"Lattice" and b"Lattice=" not in comment:
        raise ValueError(f"line {line_number}: the cell must be named Lattice, not {match[1].decode()}")


def _comment(atoms: Atoms, results: Mapping[str, Any]) -> str:
    parts = [f'Lattice="{_digits(atoms.cell.array.ravel().tolist())}"'] if atoms.cell.any() else []
    parts += ["Properties=species:S:1:pos:R:3:forces:R:3", f"energy={results['energy']!r}"]
    if "stress" in results:
        parts.append(f'stress="{_digits(voigt_6_to_full_3x3_stress(results["stress"]).ravel().tolist())}"')
    parts.append('pbc="{} {} {}"'.format(*("T" if periodic else "F" for periodic in atoms.pbc)))
    info = {key: value for key, value in atoms.info.items() if key not in _XYZ_KEYS and _is_one_line(key, value)}
    return " ".join([*parts, key_val_dict_to_str(info)]).rstrip()


def _is_one_line(*values: Any) -> bool:
    return not any(isinstance(value, str) and len(value.splitlines()) > 1 for value in values)


def _digits(numbers: Sequence[float]) -> str:
    """Return the shortest text from which each number is read back exactly, e.g. 0.1."""
    return " ".join(map(repr, numbers))
