"""What a report tells, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Structures:
    """The structures of a dataset, one entry of each array a structure, and what the potential makes of them.

    Energies are counted from free atoms, in eV/atom; errors of energies are in meV/atom, forces and their errors in eV/Å.

    :ivar kinds: of each structure, a number in `kind_names`; likewise `formula` and `formula_names`, `calculation` and
        `calculation_uuids` (-1 if none labelled it here), `source` and `source_uuids`.
    :ivar worst_component: (n, 2) the force component that is most wrong: reference and predicted.
    :ivar shortest: shortest distance in the structure (Å), NaN without neighbours.
    :ivar atoms: the structure each atom belongs to, for `forces` (reference, predicted), each (number of atoms, 3).
    """

    kind_names: list[str]
    kinds: np.ndarray
    is_test: np.ndarray
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
    atoms: np.ndarray
    forces: tuple[np.ndarray, np.ndarray]

    def __len__(self) -> int:
        """Return the number of structures."""
        return len(self.kinds)


@dataclass(frozen=True)
class Coverage:
    """What the dataset covers.

    :ivar edges, counts: for each pair of elements the number of distances in each bin (Å).
    :ivar usual: median distance (Å) of an atom to its nearest neighbour; None if no atom has one.
    :ivar compositions: number of structures of each empirical formula, most frequent first.
    """

    edges: np.ndarray
    counts: dict[str, np.ndarray]
    n_atoms: int
    usual: float | None
    compositions: dict[str, int]


@dataclass(frozen=True)
class Stage:
    """A stage of the run, and its time from start to end, waiting included."""

    name: str
    detail: str
    seconds: float


@dataclass(frozen=True)
class Validation:
    """What a validation of the potential found: `checks`, `curves` and `settings` as its process gave them."""

    uuid: str
    passed: bool
    checks: list[dict[str, Any]]
    curves: list[dict[str, Any]]
    settings: dict[str, Any]


@dataclass(frozen=True)
class Process:
    """The processes of one kind behind the potential."""

    label: str
    count: int
    where: str
    started: str
    seconds: float
    example: str


@dataclass(frozen=True)
class Subject:
    """A potential, and all that is known of it.

    :ivar identity: names and values of what it is called and where it is stored.
    :ivar asked: the settings that differ from the defaults.
    :ivar config: all settings, as a configuration file, and `command`, which uses it.
    :ivar oracle, curation: the reports of these stages; empty if there are none.
    :ivar learned: the history of active learning, if that made it.
    """

    title: str
    identity: dict[str, str]
    asked: dict[str, Any]
    config: str
    command: str
    metrics: dict[str, Any]
    structures: Structures
    coverage: Coverage
    oracle: dict[str, Any]
    curation: dict[str, Any]
    validation: Validation | None
    stages: list[Stage]
    processes: list[Process]
    versions: dict[str, str]
    learned: dict[str, Any] = field(default_factory=dict)
