"""The embedding against its derivative; its value is compared with pyace in the tests of the rows."""

from __future__ import annotations

import numpy as np
import pytest
from mlip_train.embedding import embedding


def test_derivative_of_the_embedding_is_that_of_its_value() -> None:
    densities, step = np.array([-4.0, -0.5, 0.0, 0.1, 2.0, 20.0]), 1e-6
    change = embedding(densities + step)[0] - embedding(densities - step)[0]
    assert embedding(densities)[1] == pytest.approx(change / (2 * step), rel=1e-5)


def test_embedding_is_zero_without_neighbours_and_a_square_root_for_many() -> None:
    values, _ = embedding(np.array([0.0, 25.0, 100.0]))
    assert values == pytest.approx([0.0, 5.0, 10.0], abs=1e-9)
