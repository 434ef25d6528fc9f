"""Settings of active learning: budget of labels, and targets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field, model_validator

from .base import PositiveFloat, PositiveInt, StrictSettings

_START_PER_ELEMENT, _MAX_LABELS_PER_ELEMENT = 40, 200
"""Number of labels for each element, if `auto`: before the first exploration, and in the whole run."""


class LearningConfig(StrictSettings):
    """Active learning: in each round, MD runs and other samplers use the newest potential, structures with large extrapolation
    grades are labelled, and a new potential is fitted.

    The run stops when exploration finds no new structure above the limit of the grade, when the force error on new labels is
    at most the target, or when the budget of labels is used up.
    """

    start: PositiveInt | Literal["auto"] = "auto"
    """Structures labelled before the first exploration, or `auto`: 40 for each element, at most `max_labels`. They are made
    with the settings of `generator`, except `count`."""

    labels_per_round: PositiveInt = 20
    """Maximum number of structures labelled in a round."""

    max_labels: PositiveInt | Literal["auto"] = "auto"
    """Budget of labels, including those of the start, or `auto`: 200 for each element. Failed and reused labels count;
    `initial_dataset` does not."""

    target_force_rmse: PositiveFloat | None = None
    """Target for the root mean square error of the forces on new labels, in eV/Å; no target if empty. The new structures have
    the largest extrapolation grades, so the error on typical structures is smaller."""

    fewest_fresh: PositiveInt = Field(default=5)
    """If a round has fewer new labels than this, their error is not compared with the target."""

    def start_for(self, elements: Sequence[str]) -> int:
        """Return the number of structures labelled before the first exploration."""
        if self.start != "auto":
            return self.start
        return min(_START_PER_ELEMENT * len(elements), self.max_labels_for(elements))

    def max_labels_for(self, elements: Sequence[str]) -> int:
        """Return the budget of labels, including those of the start."""
        return _MAX_LABELS_PER_ELEMENT * len(elements) if self.max_labels == "auto" else self.max_labels

    @model_validator(mode="after")
    def _budget_holds_the_start(self) -> LearningConfig:
        if self.start != "auto" and self.max_labels != "auto" and self.max_labels < self.start:
            raise ValueError(f"max_labels ({self.max_labels}) must not be less than start ({self.start})")
        return self
