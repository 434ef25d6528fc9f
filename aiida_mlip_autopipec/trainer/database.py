"""Datasets in files, without AiiDA."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ase import Atoms

from ..config.schemas.curation import DuplicateConfig
from ..config.schemas.label_keys import LabelKeys
from ..dataset.duplicates import find_duplicates
from ..dataset.files import check_suffix, read_file, write_file
from ..dataset.quality import label_fault

logger = logging.getLogger(__name__)


class DatabaseManager:
    """Writes and reads datasets: structures with energy (eV), forces (eV/Å) and, if available, stress (eV/Å^3).

    The suffix determines the format:

    - ``.pckl.gzip``: the format of pacemaker, a pickled ``pandas.DataFrame``;
    - ``.db``: ASE's database (SQLite);
    - ``.traj``: ASE's trajectory;
    - ``.extxyz``, ``.xyz``: extended XYZ, with all digits.

    Outputs of VASP (``vasprun.xml``, ``OUTCAR``), pw.x, CP2K and FHI-aims (``.out``, ``.pwo``, ``.log``) are read, not
    written; steps that failed or did not converge are omitted with a warning.

    All formats preserve positions, cells, periodicity and labels exactly, and the numbers and texts in ``atoms.info``
    (in extended XYZ, text that looks like a number becomes a number). Constraints, velocities and all other data of a
    structure are not written. ``.pckl.gzip``, ``.db`` and ``.traj`` files written here have a checksum, so that reading a
    corrupted file is an error; other files have none.
    """

    def __init__(self, duplicates: DuplicateConfig | None = None) -> None:
        """Set the criteria for duplicates."""
        self._duplicates = duplicates or DuplicateConfig()

    def save_dataset(self, atoms_list: Sequence[Atoms], path: str | Path, *, keep_duplicates: bool = False) -> Path:
        """Write labelled structures to a file, without duplicates of earlier ones.

        The file is created or replaced atomically.

        :param keep_duplicates: whether to write duplicates too.
        :returns: the path of the file.
        :raises FileNotFoundError: if the folder does not exist.
        :raises ValueError: if the suffix is unknown, there is no structure, or a label is missing, not finite or of the
            wrong shape; then nothing is written.
        :raises ImportError: for ``.pckl.gzip`` without pandas.
        """
        path = Path(path)
        check_suffix(path)
        if not path.parent.is_dir():
            raise FileNotFoundError(f"{path}: there is no folder {path.parent}")
        if len(atoms_list) == 0:
            raise ValueError(f"{path}: no structures to write")
        for index, atoms in enumerate(atoms_list):
            fault = label_fault(atoms)
            if fault is not None:
                raise ValueError(f"{path}: nothing is written, because {_name(index, atoms)} has {fault.detail}")
        representative = np.arange(len(atoms_list))
        if not keep_duplicates:
            representative = find_duplicates(atoms_list, self._duplicates).representative
        frames = [atoms for index, atoms in enumerate(atoms_list) if representative[index] == index]
        if len(frames) < len(atoms_list):
            logger.info("%s: %d duplicates left out of %d", path, len(atoms_list) - len(frames), len(atoms_list))
        write_file(path, frames)
        return path

    def load_dataset(
        self, path: str | Path, *, trust_pickle: bool = False, keys: LabelKeys | None = None
    ) -> list[Atoms]:
        """Read structures and their labels (see :func:`~..dataset.files.read_file`).

        :param trust_pickle: whether to unpickle ``.pckl.gzip`` without restrictions, which runs any code in the file. Files
            that contain only data, such as those of :meth:`save_dataset`, are read without it.
        :param keys: names of the labels in the file; by default all usual names are tried.
        :raises FileNotFoundError: if there is no such file.
        :raises ValueError: if the suffix is unknown, the file is damaged (naming file and frame), or a ``.pckl.gzip``
            contains more than data.
        """
        result = read_file(Path(path), keys, trust_pickle=trust_pickle)
        for message in result.messages():
            logger.warning("%s: %s", path, message)
        return result.frames


def _name(index: int, atoms: Atoms) -> str:
    return f"structure {index} ({atoms.get_chemical_formula()}, family {atoms.info.get('family', 'unknown')})"
