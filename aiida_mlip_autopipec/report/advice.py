"""Advice on findings, in terms of the settings of the command that made the potential."""

from __future__ import annotations

from typing import Any

import yaml

from ..config.schemas.generator import FamilyWeights
from ..config.schemas.variations import VariationWeights
from .model import Subject

ONE_SHOT, LEARNING = "OneShotWorkChain", "ActiveLearningWorkChain"
OWN_DATA = ("OwnDataWorkChain", "PaceTrainWorkChain")
"""Runs of `mlip-auto train`; the second one those of earlier versions."""

CUTOFF_DISTANCES = 2.5
"""Recommended cutoff, in nearest-neighbour distances: beyond the sixth shell of close-packed crystals, as the initial cutoff
of `auto`."""


class Advice:
    """Advice for a potential: `mlip-auto run` and `learn` generate structures, `train` uses those of the user."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._made_by = subject.made_by
        content: Any = yaml.safe_load(subject.config) if subject.config else {}
        self._training: dict[str, Any] = (
            (content if self._made_by in OWN_DATA else content.get("training")) or {}
            if isinstance(content, dict)
            else {}
        )

    def is_given(self, name: str) -> bool:
        """Return whether a setting of the fit that may be `auto` has a value."""
        return self._training.get(name, "auto") != "auto"

    def setting(self, name: str) -> str:
        """Return the name of a setting of the fit, with the section `training` unless the command is `train`."""
        return name if self._made_by in OWN_DATA else f"training.{name}"

    def more_structures(self, which: str = "") -> str:
        """Return advice to add training structures.

        :param which: restriction, such as `with short distances`.
        """
        what = f"labelled structures {which}".strip()
        if self._made_by == ONE_SHOT:
            return (
                "Generate and label more structures (generator.count)."
                if not which
                else f"Add {what} (initial_dataset)."
            )
        if self._made_by == LEARNING:
            return f"Allow more {what} (learning.max_labels)." if not which else f"Add {what} (initial_dataset)."
        return f"Add {what} to the training data."

    def more_of_kind(self, kind: str) -> str:
        """Return advice to add training structures of a kind."""
        setting = self._weight_of(kind)
        if self._made_by in (ONE_SHOT, LEARNING) and setting:
            return f"If these matter to you, generate a larger share of them ({setting})."
        return "If these matter to you, add labelled structures of these kinds to the training data."

    @staticmethod
    def _weight_of(kind: str) -> str:
        """Return the setting with the share of a kind of structure; empty if there is none."""
        variation = kind.rpartition(": ")[2]
        if variation != kind and variation in VariationWeights.model_fields:
            return f"generator.variations.weights.{variation}"
        generated = kind.rpartition("_")[2]
        return f"generator.weights.{generated}" if generated in FamilyWeights.model_fields else ""

    def larger_share(self) -> str:
        """Return how to get more structures of a kind, as the end of a sentence."""
        # Active learning takes the number of generated structures from its own section.
        number = {ONE_SHOT: "generator.count", LEARNING: "learning.start"}.get(self._made_by)
        if number is not None:
            return f"raise their weights (generator.weights, generator.variations.weights) or {number}"
        return "add labelled structures of these kinds to the training data"

    def fewer_functions(self) -> str:
        """Return advice to use fewer functions, for a user who set their number."""
        return f"Use fewer functions: set {self.setting('n_functions')} to auto."

    def more_functions(self) -> str:
        """Return advice to use more functions, depending on what limits their number."""
        if self.is_given("n_functions"):
            return f"Use more functions: raise {self.setting('n_functions')}, or set it to auto."
        most = self._training.get("max_functions", 0) * len(self._subject.metrics["elements"])
        if most and self._subject.metrics["n_functions"] >= most:
            return f"Use more functions: raise {self.setting('max_functions')}."
        return (
            f"The number of functions was chosen automatically; more data usually allow more. {self.more_structures()}"
        )

    def longer_cutoff(self, nearest: float) -> str:
        """Return advice to use a longer cutoff.

        :param nearest: nearest-neighbour distance (Å).
        """
        if self.is_given("cutoff"):
            return f"Set {self.setting('cutoff')} to auto."
        return f"Set {self.setting('cutoff')} to {CUTOFF_DISTANCES * nearest:.1f} Å."

    def test_structures(self) -> str:
        """Return advice to get independent test structures."""
        if self._made_by in OWN_DATA:
            return "Test on structures that are not in the training data (--test FILE, or test_fraction above 0)."
        return f"Set {self.setting('test_fraction')} above 0."
