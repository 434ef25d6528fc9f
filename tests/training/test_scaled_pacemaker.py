"""Optimisation in scaled coefficients."""

from __future__ import annotations

import numpy as np
import pytest
from mlip_train.scaled_pacemaker import scaled
from scipy.optimize import minimize

CURVATURE = np.diag(10.0 ** np.arange(0.0, 12.0)) + 1e-3 * np.ones((12, 12))
BEST = np.linspace(-3.0, 4.0, 12)


def loss(variables: np.ndarray, factor: float) -> tuple[float, np.ndarray]:
    away = variables - BEST
    return float(factor * away @ CURVATURE @ away), factor * 2.0 * CURVATURE @ away


@pytest.mark.parametrize("method", ["BFGS", "L-BFGS-B", "CG"])
def test_the_scaled_optimiser_finds_the_same_minimum_in_fewer_steps(method: str) -> None:
    seen: list[np.ndarray] = []
    options = {"jac": True, "args": (0.5,), "method": method, "options": {"maxiter": 1000}}
    start = np.ones(12)
    scale = np.linalg.cholesky(np.linalg.inv(CURVATURE))
    found = scaled(minimize, scale)(loss, start, callback=lambda x: seen.append(x.copy()), **options)
    assert found.x == pytest.approx(BEST, abs=1e-6)
    assert seen[-1] == pytest.approx(found.x)
    plain = minimize(loss, start, callback=lambda x: None, **options)
    assert found.nfev < plain.nfev / 2
    assert start == pytest.approx(1.0)
