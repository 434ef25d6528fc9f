"""Datasets in files, without AiiDA."""

from __future__ import annotations

import logging
import os
import re
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from ase.calculators.calculator import all_properties
from ase.calculators.singlepoint import SinglePointCalculator
from ase.db import connect
from ase.io import iread
from ase.io.extxyz import key_val_dict_to_str
from ase.io.trajectory import Trajectory
from ase.stress import voigt_6_to_full_3x3_stress

from ..config.schemas.curation import DuplicateConfig
from ..dataset.fingerprint import find_duplicates, is_free_atom
from ..dataset.quality import label_fault
from .pickled_frame import ForeignObjectError, read_columns

logger = logging.getLogger(__name__)

_LABELS = ("energy", "forces", "stress")


class DatabaseManager:
    """Writes and reads datasets: structures with energy (eV), forces (eV/Å) and, if they have one, stress (eV/Å^3).

    The suffix tells the format:

    - ``.pckl.gzip``: what pacemaker reads, a pickled ``pandas.DataFrame``;
    - ``.db``: ASE's database (SQLite);
    - ``.traj``: ASE's trajectory;
    - ``.extxyz``, ``.xyz``: extended XYZ, written with all digits.

    Outputs of VASP (``vasprun.xml``, ``OUTCAR``) and of Quantum ESPRESSO's pw.x (``.pwo``, ``.out``) are read, not written.

    All give back positions, cells, periodicity and labels bit for bit, and those entries of ``atoms.info`` that are
    numbers or text (extended XYZ: text that looks like a number comes back as a number). Anything else about a
    structure, such as constraints and velocities, is not part of a dataset.
    """

    def __init__(self, duplicates: DuplicateConfig | None = None) -> None:
        """Choose when two structures count as equal."""
        self._duplicates = duplicates or DuplicateConfig()

    def save_dataset(self, atoms_list: Sequence[Atoms], path: str | Path, *, keep_duplicates: bool = False) -> Path:
        """Write labelled structures to a file, leaving out all but the first of equal ones.

        The file appears, or is replaced, only when it is complete.

        :param keep_duplicates: whether to write equal structures too.
        :returns: the path.
        :raises ValueError: if the suffix is unknown, there is no structure, or one has a label that is missing, not
            finite or of the wrong shape; then nothing is written.
        :raises ImportError: if ``.pckl.gzip`` is asked for without pandas.
        """
        path = Path(path)
        write = _format_of(path).write
        if write is None:
            raise ValueError(f"{path}: is of a kind that is read, not written; write {', '.join(_WRITTEN)}")
        if not path.parent.is_dir():
            raise FileNotFoundError(f"{path}: there is no folder {path.parent}")
        if len(atoms_list) == 0:
            raise ValueError(f"{path}: no structures to write")
        for index, atoms in enumerate(atoms_list):
            fault = label_fault(atoms)
            if fault is not None:
                raise ValueError(f"{path}: nothing is written, for {_name(index, atoms)} has {fault.detail}")
        representative = np.arange(len(atoms_list))
        if not keep_duplicates:
            representative = find_duplicates(atoms_list, self._duplicates).representative
        frames = [_labelled_copy(atoms) for index, atoms in enumerate(atoms_list) if representative[index] == index]
        if len(frames) < len(atoms_list):
            logger.info("%s: %d duplicates left out of %d", path, len(atoms_list) - len(frames), len(atoms_list))
        with _replacing(path) as beside:
            write(beside, frames)
        return path

    def load_dataset(self, path: str | Path, *, trust_pickle: bool = False) -> list[Atoms]:
        """Read structures, with the labels they have.

        :param trust_pickle: whether to unpickle ``.pckl.gzip`` as it is, which runs whatever code is in the file.
            Without it, files that hold nothing but data, as :meth:`save_dataset` writes them, are read all the same.
        :raises FileNotFoundError: if there is no such file.
        :raises ValueError: if the suffix is unknown or the file damaged, naming file and frame; or if a ``.pckl.gzip``
            holds more than data.
        """
        path = Path(path)
        form = _format_of(path)
        if not path.is_file():
            raise FileNotFoundError(f"{path}: there is no such file")
        frames: list[Atoms] = []
        try:
            if trust_pickle and form is _FORMATS[_PICKLE]:
                frames.extend(_from_columns(_unpickle(path)))
            else:
                for atoms in form.read(path):
                    frames.append(atoms)
        except ForeignObjectError as error:
            raise ValueError(
                f"{path}: not read, for {error}. With trust_pickle=True it is, and any code in it runs: "
                "only if you trust where it comes from"
            ) from error
        except ImportError:
            raise
        except Exception as error:  # a damaged file can raise anything
            raise ValueError(
                f"{path}: damaged or in another format than its name says, at frame {len(frames)}: {error}"
            ) from error
        if not frames:
            raise ValueError(f"{path}: holds no structures")
        return frames


class _Format(NamedTuple):
    write: Callable[[Path, Sequence[Atoms]], None] | None
    read: Callable[[Path], Iterator[Atoms]]


def _format_of(path: Path) -> _Format:
    for suffix, form in _FORMATS.items():
        if path.name.endswith(suffix):
            return form
    raise ValueError(f"{path}: the suffix must be one of {', '.join(_FORMATS)}")


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """Yield a path beside; what is written there takes the place of the file once it is safely on the disk."""
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        yield beside
        with beside.open("r+b") as file:
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        for left in path.parent.glob(f"{beside.name}*"):
            left.unlink()


def _name(index: int, atoms: Atoms) -> str:
    return f"structure {index} ({atoms.get_chemical_formula()}, family {atoms.info.get('family', 'unknown')})"


def _labelled_copy(atoms: Atoms) -> Atoms:
    """Return a structure with nothing but what belongs into a dataset."""
    copy = Atoms(numbers=atoms.numbers, positions=atoms.positions, cell=atoms.cell.array, pbc=atoms.pbc)
    copy.info = _plain_info(atoms.info)
    return _label(copy, atoms.calc.results)


def _plain_info(info: Mapping[Any, Any]) -> dict[str, str | bool | int | float]:
    # An entry named like a property would be read as a label.
    values = {key: value.item() if isinstance(value, np.generic) else value for key, value in info.items()}
    return {
        key: value
        for key, value in values.items()
        if isinstance(key, str) and key not in all_properties and isinstance(value, (str, bool, int, float))
    }


def _label(atoms: Atoms, results: Mapping[str, Any]) -> Atoms:
    labels = {name: results[name] for name in _LABELS if results.get(name) is not None}
    if "energy" in labels:
        labels["energy"] = float(labels["energy"])
    atoms.calc = SinglePointCalculator(atoms, **labels) if labels else None
    return atoms


# .pckl.gzip


def _write_pickle(path: Path, frames: Sequence[Atoms]) -> None:
    mixed = sum(bool(atoms.pbc.any() and not atoms.pbc.all()) for atoms in frames)
    if mixed:
        logger.warning("%d structures are periodic in some directions only: pacemaker will refuse them", mixed)
    results = [atoms.calc.results for atoms in frames]
    columns: dict[str, Any] = {"ase_atoms": _objects([_label(atoms.copy(), {}) for atoms in frames])}
    columns["energy"] = np.array([result["energy"] for result in results])
    references = _reference_energies(frames)
    if set(references) == {number for atoms in frames for number in atoms.numbers.tolist()}:
        columns["energy_corrected"] = columns["energy"] - np.array(
            [sum(references[number] for number in atoms.numbers.tolist()) for atoms in frames]
        )
    columns["forces"] = _objects([result["forces"] for result in results])
    if any("stress" in result for result in results):
        columns["stress"] = _objects([result.get("stress") for result in results])
    pandas = _pandas()
    table = pandas.DataFrame(columns)
    # The default index of pandas 3 is one of strings, which pandas 2 cannot unpickle.
    table.columns = pandas.Index(list(columns), dtype=object)
    table.to_pickle(path, compression={"method": "gzip", "compresslevel": 5, "mtime": 0}, protocol=4)


def _objects(entries: Sequence[Any]) -> np.ndarray:
    column = np.empty(len(entries), dtype=object)
    for index, entry in enumerate(entries):
        column[index] = entry
    return column


def _reference_energies(frames: Sequence[Atoms]) -> dict[int, float]:
    """Return the lowest energy, in eV, of a free atom of each element that has one, by atomic number."""
    references: dict[int, float] = {}
    for atoms in frames:
        if is_free_atom(atoms):
            number, energy = int(atoms.numbers[0]), atoms.calc.results["energy"]
            references[number] = min(energy, references.get(number, energy))
    return references


def _read_pickle(path: Path) -> Iterator[Atoms]:
    return _from_columns(read_columns(path))


def _unpickle(path: Path) -> dict[str, list[Any]]:
    table = _pandas().read_pickle(path, compression="gzip")
    return {str(name): list(table[name]) for name in table.columns}


def _from_columns(columns: Mapping[str, list[Any]]) -> Iterator[Atoms]:
    if "ase_atoms" not in columns:
        raise ValueError(f"no column 'ase_atoms' among {', '.join(columns) or 'none'}")
    # Where only corrected energies are given, free atoms have the energy 0.
    energies = columns.get("energy", columns.get("energy_corrected"))
    named = {"energy": energies, "forces": columns.get("forces"), "stress": columns.get("stress")}
    for row, atoms in enumerate(columns["ase_atoms"]):
        if not isinstance(atoms, Atoms):
            raise ValueError(f"its 'ase_atoms' is of the type {type(atoms).__name__}")
        copy = Atoms(numbers=atoms.numbers, positions=atoms.positions, cell=atoms.cell.array, pbc=atoms.pbc)
        copy.info = _plain_info(atoms.info)
        yield _label(copy, {name: column[row] for name, column in named.items() if column is not None})


def _pandas() -> ModuleType:
    try:
        import pandas
    except ImportError as error:
        raise ImportError(
            "files for pacemaker (.pckl.gzip) need pandas, which comes with pip install 'aiida-mlip-autopipec[pace]'"
        ) from error
    return pandas


# .db


_SEARCHABLE = ("family", "split", "group")


def _write_database(path: Path, frames: Sequence[Atoms]) -> None:
    with connect(path, type="db", append=False, use_lock_file=False) as database:
        for atoms in frames:
            searchable = {key: atoms.info[key] for key in _SEARCHABLE if _is_searchable(atoms.info.get(key))}
            database.write(atoms, key_value_pairs=searchable, data={"info": atoms.info})


def _is_searchable(value: str | bool | int | float | None) -> bool:
    """Tell whether ASE takes a value as a key-value pair: not text that can be read as something else."""
    if isinstance(value, str):
        return re.fullmatch(r"[A-Za-z][\w .-]*", value) is not None and value.lower() not in _READ_AS_ELSE
    return isinstance(value, int)


_READ_AS_ELSE = ("true", "false", "t", "f", "nan", "inf", "infinity")


def _read_database(path: Path) -> Iterator[Atoms]:
    with connect(path, type="db", use_lock_file=False) as database:
        for row in database.select():
            atoms = row.toatoms()
            atoms.info = {**row.key_value_pairs, **row.data.get("info", {})}
            yield atoms


# .traj


def _write_trajectory(path: Path, frames: Sequence[Atoms]) -> None:
    with Trajectory(path, "w") as trajectory:
        for atoms in frames:
            trajectory.write(atoms)


def _read_trajectory(path: Path) -> Iterator[Atoms]:
    with Trajectory(path, "r") as trajectory:
        for index in range(len(trajectory)):
            yield trajectory[index]


# .extxyz


def _write_extxyz(path: Path, frames: Sequence[Atoms]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for atoms in frames:
            results = atoms.calc.results
            file.write(f"{len(atoms)}\n{_comment(atoms, results)}\n")
            rows = np.hstack([atoms.positions, results["forces"]]).tolist()
            for symbol, row in zip(atoms.symbols, rows, strict=True):
                file.write(f"{symbol} {_digits(row)}\n")


def _comment(atoms: Atoms, results: Mapping[str, Any]) -> str:
    parts = [f'Lattice="{_digits(atoms.cell.array.ravel().tolist())}"'] if atoms.cell.any() else []
    parts += ["Properties=species:S:1:pos:R:3:forces:R:3", f"energy={results['energy']!r}"]
    if "stress" in results:
        parts.append(f'stress="{_digits(voigt_6_to_full_3x3_stress(results["stress"]).ravel().tolist())}"')
    parts.append('pbc="{} {} {}"'.format(*("T" if periodic else "F" for periodic in atoms.pbc)))
    info = {key: value for key, value in atoms.info.items() if key not in _XYZ_KEYS and _is_one_line(key, value)}
    return " ".join([*parts, key_val_dict_to_str(info)]).rstrip()


_XYZ_KEYS = ("Lattice", "Properties", "pbc", "virial")


def _is_one_line(*values: Any) -> bool:
    return not any(isinstance(value, str) and len(value.splitlines()) > 1 for value in values)


def _digits(numbers: Sequence[float]) -> str:
    """Return numbers with as many digits as tell them from all others, e.g. 0.1."""
    return " ".join(map(repr, numbers))


def _read_extxyz(path: Path) -> Iterator[Atoms]:
    with path.open("rb") as file:
        lines = [bool(line.strip()) for line in file]
        if not any(lines):
            return
        file.seek(-1, os.SEEK_END)
        if file.read(1) != b"\n":
            raise ValueError("the last line has no end: cut off? (If it is whole, end it.)")
    n_lines = len(lines) - lines[::-1].index(True)
    understood = 0
    for atoms in iread(path, index=":", format="extxyz", do_not_split_by_at_sign=True):
        understood += len(atoms) + 2
        yield atoms
    if understood != n_lines:
        raise ValueError(f"line {understood + 1} does not begin a structure")


def _read_output_of(form: str) -> Callable[[Path], Iterator[Atoms]]:
    """Return a function that reads what a program of density functional theory has printed, all steps that have labels."""

    def read(path: Path) -> Iterator[Atoms]:
        for atoms in iread(path, index=":", format=form):
            results = atoms.calc.results if atoms.calc is not None else {}
            if "free_energy" in results:
                # The energy of which the forces are the derivative.
                results = {**results, "energy": results["free_energy"]}
            yield _label(Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc), results)

    return read


_PICKLE = ".pckl.gzip"
_FORMATS = {
    _PICKLE: _Format(_write_pickle, _read_pickle),
    ".db": _Format(_write_database, _read_database),
    ".traj": _Format(_write_trajectory, _read_trajectory),
    ".extxyz": _Format(_write_extxyz, _read_extxyz),
    ".xyz": _Format(_write_extxyz, _read_extxyz),
    "vasprun.xml": _Format(None, _read_output_of("vasp-xml")),
    "OUTCAR": _Format(None, _read_output_of("vasp-out")),
    ".pwo": _Format(None, _read_output_of("espresso-out")),
    ".out": _Format(None, _read_output_of("espresso-out")),
}
_WRITTEN = [suffix for suffix, form in _FORMATS.items() if form.write is not None]
