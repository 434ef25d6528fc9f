"""Candidates of the search for a cutoff."""

from __future__ import annotations

import pytest
from mlip_train.basis import Radial
from mlip_train.radial import CUTOFF_RANGE, _hill_climb, candidate_cutoffs


@pytest.mark.parametrize("spacing", [0.74, 1.1, 1.5, 2.35, 2.55, 3.7, 5.0])
def test_candidate_cutoffs_increase_between_the_limits(spacing: float) -> None:
    candidates, initial = candidate_cutoffs(spacing)
    assert candidates == sorted(set(candidates))
    assert CUTOFF_RANGE[0] <= candidates[0] and candidates[-1] == CUTOFF_RANGE[1]
    assert 4.0 <= candidates[initial] <= 8.0


def test_molecules_have_several_candidates() -> None:
    candidates, initial = candidate_cutoffs(1.1)
    assert candidates[initial] == 4.0
    assert len(candidates) > 10


def test_short_cutoffs_are_candidates() -> None:
    candidates, _ = candidate_cutoffs(2.7)
    assert candidates[0] == pytest.approx(1.4 * 2.7, abs=0.05)


@pytest.mark.parametrize(
    ("errors", "best"),
    [
        ([3.0, 2.0, 1.0, 0.95, 0.9, 1.1], 4),
        ([0.9, 0.8, 1.0, 1.2, 1.3, 1.4], 2),
        ([0.7, 0.6, 1.0, 1.2, 1.3, 1.4], 1),
        ([3.0, 2.0, 1.0, 0.995, 0.5, 0.4], 2),
    ],
    ids=["longer, while it is better", "shorter, but not much better", "shorter and much better", "hardly better"],
)
def test_search_finds_the_cutoff_with_a_significantly_smaller_error(errors: list[float], best: int) -> None:
    candidates = [Radial(float(cutoff), "SBessel", (5.25,)) for cutoff in range(3, 9)]
    found = _hill_climb(candidates, 2, lambda radial: errors[candidates.index(radial)])
    assert candidates.index(found) == best
