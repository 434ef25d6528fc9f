"""The figures of active learning."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from aiida_mlip_autopipec.config.schemas.learning import LearningConfig
from aiida_mlip_autopipec.learning.history import add_failed_round, add_round, initial_history
from aiida_mlip_autopipec.report.rounds import rounds_figures

from ..learning.test_history import EXPLORED, metrics, oracle, point


@pytest.fixture
def learned() -> dict[str, Any]:
    history = initial_history(oracle(40), metrics(0.3), 5.0)
    for error in (0.2, 0.1):
        fresh = [point(grade, error * grade / 5) for grade in np.geomspace(4, 20, 8)]
        history = add_round(history, EXPLORED, oracle(8), fresh, metrics(error), LearningConfig())
    return {**history, "ended": "budget"}


def test_errors_are_plotted_over_labels_and_over_grades(learned: dict[str, Any]) -> None:
    errors, grades = rounds_figures(learned)
    assert (errors.name, grades.name) == ("rounds-errors", "rounds-grades")
    # Two rounds of new labels and three fits; sixteen labels.
    assert errors.plot.count("<title>") == 5
    assert grades.plot.count("<title>") == 16


def test_a_round_without_labels_is_left_out(learned: dict[str, Any]) -> None:
    failed = add_failed_round(learned, EXPLORED, oracle(8, failed=8))
    assert [figure.plot for figure in rounds_figures(failed)] == [figure.plot for figure in rounds_figures(learned)]


def test_no_figures_without_a_round() -> None:
    assert rounds_figures({}) == []
    assert rounds_figures(initial_history(oracle(40), metrics(0.3), 5.0)) == []
