"""The embedding against upstream's function and its derivative."""

from __future__ import annotations

import numpy as np
import pytest
from mlip_train.embedding import embedding


@pytest.mark.parametrize("density", [-4.0, -0.5, 0.0, 0.1, 2.0, 20.0])
def test_value_and_slope_are_those_of_upstreams_embedding(density: float) -> None:
    def root(x: float) -> float:
        decay = np.exp(-abs(x))
        return float(np.sign(x) * (np.sqrt(abs(x) + decay / 4.0) - decay / 2.0))

    value, slope = embedding(np.array(density))
    step = 1e-6
    assert value == pytest.approx(root(density), abs=1e-12)
    assert slope == pytest.approx((root(density + step) - root(density - step)) / (2 * step), rel=1e-5)


def test_embedding_is_zero_without_neighbours_and_a_square_root_for_many() -> None:
    values, _ = embedding(np.array([0.0, 25.0, 100.0]))
    assert values == pytest.approx([0.0, 5.0, 10.0], abs=1e-9)
