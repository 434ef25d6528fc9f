"""The input file of a fit."""

from __future__ import annotations

import pytest
import yaml

from aiida_mlip_autopipec.config.schemas.training import TrainingConfig
from aiida_mlip_autopipec.training.pacemaker_input import input_yaml


def content(**settings: object) -> dict:
    return yaml.safe_load(input_yaml(TrainingConfig(**settings), ["Cu", "Al"]))


def test_user_settings_are_in_the_input_file() -> None:
    written = content(cutoff=4.5, order=2, n_functions=30, max_epochs=7, batch_size=13, engine="nonlinear", seed=3)
    assert written["potential"]["elements"] == ["Al", "Cu"]
    assert written["potential"]["bonds"]["ALL"]["rcut"] == 4.5
    functions = written["potential"]["functions"]
    assert all(len(functions[name]["lmax_by_orders"]) == 2 for name in ("UNARY", "BINARY"))
    assert "TERNARY" not in functions
    assert functions["number_of_functions_per_element"] == 30
    assert written["fit"]["maxiter"] == 7
    assert written["backend"] == {"evaluator": "tensorpot", "batch_size": 13, "display_step": 20}
    assert written["seed"] == 3
    assert written["pace_train"]["engine"] == "nonlinear"


def test_auto_settings_are_numbers_in_the_part_for_pacemaker() -> None:
    written = content()
    assert isinstance(written["potential"]["bonds"]["ALL"]["rcut"], float)
    assert isinstance(written["potential"]["functions"]["number_of_functions_per_element"], int)
    assert written["pace_train"]["cutoff"] == written["pace_train"]["n_functions"] == "auto"


def test_a_faster_potential_has_lower_limits_of_radial_functions_and_angular_momenta() -> None:
    limits = {speed: content(speed=speed) for speed in ("fast", "balanced", "accurate")}
    for name in ("UNARY", "BINARY"):
        for key in ("nradmax_by_orders", "lmax_by_orders"):
            fast, balanced, accurate = (written["potential"]["functions"][name][key] for written in limits.values())
            assert max(fast[1:]) < max(balanced[1:]) and balanced == accurate
    assert [written["pace_train"].get("speed") for written in limits.values()] == ["fast", None, "accurate"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("speed", "slow"),
        ("cutoff", 1.0),
        ("order", 0),
        ("order", 7),
        ("engine", "magic"),
        ("max_epochs", 0),
        ("ridge", -1.0),
    ],
)
def test_values_out_of_range_are_refused(key: str, value: object) -> None:
    with pytest.raises(ValueError, match=key):
        TrainingConfig(**{key: value})
