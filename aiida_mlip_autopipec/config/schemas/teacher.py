"""Settings of the teacher: a cheap method that finds the structures for the oracle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from ..oracles import OracleConfig
from .base import PositiveInt, StrictSettings

_STRUCTURES_PER_ELEMENT = 500


class TeacherConfig(StrictSettings):
    """A cheap method, such as a foundation model, that can reduce the number of labels of the oracle.

    A first potential is fitted to many labels of the teacher. The samplers of `exploration` use this potential, and the
    structures that they save join the pool from which the structures for the oracle are selected. Labels of the teacher never
    enter the dataset.
    """

    oracle: OracleConfig
    """The method of the teacher, with the settings of an oracle: `{type: ase, calculator: chgnet}`, for example."""

    n_structures: PositiveInt | Literal["auto"] = "auto"
    """Number of structures that the teacher labels, or `auto`: 500 for each element. They are generated with the settings of
    `generator`, except `count`."""

    save_interval: PositiveInt = 50
    """Number of steps after which a sampler saves a frame for the pool, whatever its extrapolation grade; the last frame is
    saved too."""

    prior: Literal["auto", "none"] = "auto"
    """`auto`: cross-validation on the labels of the oracle decides whether the fit uses the teacher's potential as prior: the
    same functions, and a ridge penalty on the differences from its coefficients (delta learning). `none`: the teacher is used
    only for exploration."""

    def count_for(self, elements: Sequence[str]) -> int:
        """Return the number of structures that the teacher labels."""
        return _STRUCTURES_PER_ELEMENT * len(elements) if self.n_structures == "auto" else self.n_structures
