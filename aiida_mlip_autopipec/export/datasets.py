"""Datasets for other programs: each format has a function that writes train and test parts to a folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ase import Atoms

from ..dataset.files import write_file
from .deepmd import write_deepmd
from .mace import write_mace
from .nequip import write_nequip

Parts = Mapping[str, Sequence[Atoms]]
"""Structures by split: `train` and, if there are any, `test`."""


def write_pacemaker(parts: Parts, folder: Path) -> None:
    """Write `train.pckl.gzip` and, if there are test structures, `test.pckl.gzip` for pacemaker."""
    for name, part in parts.items():
        write_file(folder / f"{name}.pckl.gzip", part)


def split_parts(frames: Sequence[Atoms]) -> dict[str, list[Atoms]]:
    """Return the structures by split, without empty ones; undecided structures belong to `train`."""
    test = [atoms for atoms in frames if atoms.info.get("split") == "test"]
    train = [atoms for atoms in frames if atoms.info.get("split") != "test"]
    return {name: part for name, part in (("train", train), ("test", test)) if part}


WRITERS: dict[str, Callable[[Parts, Path], None]] = {
    "mace": write_mace,
    "deepmd": write_deepmd,
    "nequip": write_nequip,
    "pacemaker": write_pacemaker,
}
"""Writers of the parts of a dataset (see :func:`split_parts`), by the name of the program."""
