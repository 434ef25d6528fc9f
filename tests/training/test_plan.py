"""The costs of the steps of a fit, and the functions that a time limit allows."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk
from mlip_train.basis import MAX_CANDIDATES, choose_numbers_of_functions
from mlip_train.data import Frame
from mlip_train.plan import FEWEST, TRIALS, affordable_functions, step_costs
from mlip_train.settings import FitSettings

SETTINGS = FitSettings({"elements": ["Cu", "Au"]})


@pytest.fixture(scope="module")
def training() -> list[Frame]:
    atoms = bulk("Cu", cubic=True).repeat(2)
    return [Frame(atoms, 0.0, np.zeros((32, 3)), np.zeros(6), "train", group, "bulk") for group in range(100)]


def seconds_of(training: list[Frame], candidates: int, most: int) -> float:
    costs = step_costs(SETTINGS, training, 3200, 2 * candidates, 2 * most, 2)
    return sum(cost for step, cost in costs.items() if step != TRIALS)


@pytest.mark.parametrize("part", [0.9, 0.5, 0.1])
def test_the_fit_of_the_affordable_functions_takes_at_most_the_limit(training: list[Frame], part: float) -> None:
    limit = part * seconds_of(training, 2000, 1000)
    candidates, most = affordable_functions(SETTINGS, training, 3200, 2000, 1000, 2, limit)
    assert candidates < 2000 and abs(most - candidates / 2) <= 1
    assert 0.8 * limit < seconds_of(training, candidates, most) <= limit


def test_enough_time_allows_all_functions_and_no_time_the_fewest(training: list[Frame]) -> None:
    assert affordable_functions(SETTINGS, training, 3200, 2000, 1000, 2, 1e9) == (2000, 1000)
    assert affordable_functions(SETTINGS, training, 3200, 2000, 1000, 2, -1.0) == (FEWEST, FEWEST)


def test_time_limits_the_automatic_functions_of_large_datasets_only() -> None:
    def numbers(count: int) -> tuple[int, int]:
        atoms = bulk("Cu", cubic=True).repeat(2)
        atoms.symbols[::2] = "Au"
        frames = [Frame(atoms, 0.0, np.zeros((32, 3)), np.zeros(6), "train", group, "bulk") for group in range(count)]
        return choose_numbers_of_functions(FitSettings({"elements": ["Cu", "Au"]}, cutoff=4.0), frames, 4.0)

    small, large, larger = (numbers(count) for count in (700, 3000, 9000))
    assert small[0] == 2 * small[1] == MAX_CANDIDATES // 2
    assert small[1] > large[1] > larger[1] > 100
