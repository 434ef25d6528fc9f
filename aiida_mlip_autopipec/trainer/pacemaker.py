"""Fit without AiiDA: the portable program `pace_train` as a subprocess."""

from __future__ import annotations

import subprocess
import sys
from importlib.resources import as_file, files
from pathlib import Path

from ase import Atoms

from ..config.schemas.pipeline import OWN_DATA
from ..config.schemas.training import TrainingConfig
from ..dataset.curate import curate
from ..dataset.intake import intake
from ..dataset.species import elements_of
from ..dataset.traj_file import write_traj
from ..training.pacemaker_input import DATASET, INPUT, input_yaml
from .database import DatabaseManager

_TAIL_LINES = 30
"""Number of lines of the log in the message of a failed fit."""


class TrainingFailedError(RuntimeError):
    """A fit that ended without a potential; the message ends with the last lines of its log."""


class PacemakerWrapper:
    """Runs `pace_train` as a subprocess.

    :param directory: working directory; by default a folder next to the dataset, with its name.
    :param workers: number of processes; by default one for each core.
    """

    def __init__(self, directory: Path | None = None, workers: int | None = None) -> None:
        self._directory = directory
        self._workers = workers

    def train(self, dataset_path: Path, config: TrainingConfig) -> Path:
        """Fit a potential to a dataset (see :class:`~.database.DatabaseManager` for the formats).

        Structures are curated as in the pipeline, and split into training and test set unless ``atoms.info["split"]`` is set.
        A dataset that is already curated (``split`` and ``group`` in the info of all structures) is used unchanged.

        :returns: path of `potential.yace`; the other files of the fit and its log are in the same folder.
        :raises ValueError: if the dataset cannot be read, or curation rejects all structures.
        :raises TrainingFailedError: if the fit ends without a potential.
        """
        dataset_path = Path(dataset_path)
        structures = DatabaseManager().load_dataset(dataset_path)
        if not all(_is_curated(atoms) for atoms in structures):
            structures = _curated(intake(structures, str(dataset_path)), config)
        directory = self._directory or dataset_path.with_name(f"{dataset_path.name.split('.')[0]}_potential")
        directory.mkdir(parents=True, exist_ok=True)
        potential = directory / "potential.yace"
        potential.unlink(missing_ok=True)
        elements = elements_of(structures)
        (directory / INPUT).write_text(input_yaml(config, elements), encoding="utf-8")
        write_traj(directory / DATASET, structures)
        self._run(directory)
        return potential

    def _run(self, directory: Path) -> None:
        workers = [] if self._workers is None else ["--workers", str(self._workers)]
        log = directory / "log.txt"
        with as_file(files("aiida_mlip_autopipec") / "jobs" / "pace_train") as script:
            status = self._run_program(script, [*workers, INPUT, DATASET], log)
        if status != 0 or not (directory / "potential.yace").exists():
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-_TAIL_LINES:])
            raise TrainingFailedError(f"pace_train ended with status {status}; the end of {log}:\n{tail}")

    def _run_program(self, script: Path, arguments: list[str], log: Path) -> int:
        """Run the program in the folder of its log; return its exit status."""
        with log.open("w", encoding="utf-8") as output:
            return subprocess.run(
                [sys.executable, str(script), *arguments],
                cwd=log.parent,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            ).returncode


def _is_curated(atoms: Atoms) -> bool:
    return "split" in atoms.info and isinstance(atoms.info.get("group"), int)


def _curated(structures: list[Atoms], config: TrainingConfig) -> list[Atoms]:
    curation = curate(structures, OWN_DATA, test_fraction=config.test_fraction, seed=config.seed)
    if not curation.indices:
        raise ValueError(f"curation rejects all structures: {curation.report['rejected']}")
    for index, split, group in zip(curation.indices, curation.splits, curation.groups, strict=True):
        structures[index].info.update(split=split, group=group)
    return [structures[index] for index in curation.indices]
