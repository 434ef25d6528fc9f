"""Data of a report."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .properties import Properties


@dataclass(frozen=True)
class Structures:
    """The n structures of a dataset with labels and predictions; arrays have shape (n,) unless stated otherwise.

    Energies are in eV/atom, relative to free atoms; errors of energies in meV/atom, forces and their errors in eV/Å.

    :ivar repeats_train: whether it is a test structure that equals a training structure.
    :ivar kinds: index into `kind_names`; likewise `formula` into `formula_names`, `calculation` into `calculation_uuids` (an
        empty UUID if the label is imported), `source` into `source_uuids`.
    :ivar worst_component: (n, 2) the force component with the largest error: reference and prediction.
    :ivar shortest: shortest distance in the structure (Å), NaN without neighbours.
    :ivar locations: file and frame of each structure, empty if it was not read from a file.
    :ivar atoms: (number of atoms,) index of the structure of each atom.
    :ivar forces: reference and prediction, each (number of atoms, 3).
    """

    kind_names: list[str]
    kinds: np.ndarray
    is_test: np.ndarray
    repeats_train: np.ndarray
    formula_names: list[str]
    formula: np.ndarray
    n_atoms: np.ndarray
    energy_reference: np.ndarray
    energy_predicted: np.ndarray
    energy_error: np.ndarray
    force_rmse: np.ndarray
    force_largest_error: np.ndarray
    worst_component: np.ndarray
    shortest: np.ndarray
    calculation_uuids: list[str]
    calculation: np.ndarray
    source_uuids: list[str]
    source: np.ndarray
    source_step: np.ndarray
    locations: list[str]
    atoms: np.ndarray
    forces: tuple[np.ndarray, np.ndarray]

    def __len__(self) -> int:
        """Return the number of structures."""
        return len(self.kinds)

    @property
    def is_unseen(self) -> np.ndarray:
        """Mask of the test structures that equal no training structure; only their errors count as test errors."""
        return self.is_test & ~self.repeats_train


@dataclass(frozen=True)
class Coverage:
    """Distances and compositions in the dataset.

    :ivar edges: edges of the bins of distances (Å).
    :ivar counts: number of distances in each bin, by pair of elements.
    :ivar shortest: (n,) shortest distance in each structure (Å) by pair of elements, infinite if there is none.
    :ivar median_nearest: median nearest-neighbour distance of the atoms (Å); None if no atom has a neighbour.
    :ivar compositions: number of structures by empirical formula, most frequent first.
    """

    edges: np.ndarray
    counts: dict[str, np.ndarray]
    shortest: dict[str, np.ndarray]
    n_atoms: int
    median_nearest: float | None
    compositions: dict[str, int]


@dataclass(frozen=True)
class StageTime:
    """Wall time of a stage of the run in seconds, including the time in queues."""

    name: str
    detail: str
    seconds: float


@dataclass(frozen=True)
class Validation:
    """A validation of the potential: `checks`, `curves` and `settings` as in the output of its process."""

    uuid: str
    passed: bool
    checks: list[dict[str, Any]]
    curves: list[dict[str, Any]]
    settings: dict[str, Any]

    def deviation(self, check: dict[str, Any], key: str) -> str:
        """Return the `deviation` or `limit` of a check as text with its unit (% if it is relative to the oracle)."""
        value = check[key]
        if value is None:
            return "–"
        if check["name"] in self.settings.get("relative", ()):
            return f"{100.0 * value:.3g} %"
        return f"{value:.3g} {check.get('unit') or ''}".rstrip()


@dataclass(frozen=True)
class Process:
    """Processes with the same label in the provenance of the potential, with the UUID of one as `example`."""

    label: str
    count: int
    where: str
    started: str
    seconds: float
    example: str


@dataclass(frozen=True)
class Subject:
    """The subject of a report: a potential, with its run, dataset, errors and validation.

    :ivar identity: UUIDs of potential and run, date, and profile, by name.
    :ivar changed_settings: the settings that differ from the defaults.
    :ivar config: all settings as YAML.
    :ivar command: the command that runs with `config`.
    :ivar oracle: report of the oracle, empty without labelling; likewise `curation`.
    :ivar teacher: what the teacher did, empty without a teacher.
    :ivar learned: history of active learning, empty for other runs.
    :ivar properties: the newest properties that were computed with the potential.
    :ivar made_by: process label of the run; empty if there is none.
    """

    title: str
    identity: dict[str, str]
    changed_settings: dict[str, Any]
    config: str
    command: str
    metrics: dict[str, Any]
    structures: Structures
    coverage: Coverage
    oracle: dict[str, Any]
    curation: dict[str, Any]
    validation: Validation | None
    stages: list[StageTime]
    processes: list[Process]
    versions: dict[str, str]
    teacher: dict[str, Any] = field(default_factory=dict)
    learned: dict[str, Any] = field(default_factory=dict)
    made_by: str = ""
    properties: Properties | None = None
