"""Active learning: how many labels, and what is enough."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from .base import Settings

_START_PER_ELEMENT, _MOST_PER_ELEMENT = 40, 200


class LearningConfig(Settings):
    """Active learning: labels for what the potential does not know, until it is good enough.

    It ends when exploration meets nothing that the potential does not know, when the error on fresh labels is below the
    target, or when the labels are spent.
    """

    start: PositiveInt | Literal["auto"] = "auto"
    """Structures labelled before the first exploration, or `auto`: 40 for each element. They are made by `generator`, whose
    `count` does not matter here."""

    labels_per_round: PositiveInt = 20
    """Most structures labelled after an exploration."""

    max_labels: PositiveInt | Literal["auto"] = "auto"
    """Labels to spend in all, those of the start among them, or `auto`: 200 for each element. Those that fail count, and those
    that this profile knows already; `initial_dataset` does not."""

    target_force_rmse: PositiveFloat | None = None
    """Root mean square error of the forces on fresh labels, in eV/Å, that is enough; none if empty. These labels are of what
    the potential knew least: on usual structures it is better."""

    fewest_fresh: PositiveInt = Field(default=5)
    """Fresh labels that an error must rest on to be compared with the target."""

    def start_for(self, elements: Sequence[str]) -> int:
        """Return the number of structures labelled before the first exploration."""
        return _START_PER_ELEMENT * len(elements) if self.start == "auto" else self.start

    def most_for(self, elements: Sequence[str]) -> int:
        """Return the number of labels to spend in all."""
        return _MOST_PER_ELEMENT * len(elements) if self.max_labels == "auto" else self.max_labels

    @model_validator(mode="after")
    def _budget_holds_the_start(self) -> LearningConfig:
        if self.start != "auto" and self.max_labels != "auto" and self.max_labels < self.start:
            raise ValueError(f"max_labels is {self.max_labels}, less than the {self.start} of the start")
        return self
