"""The walkers of a round: sound structures, within their size, others in each round."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from aiida_mlip_autopipec.config.schemas.exploration import ExplorationConfig, WalkerCounts
from aiida_mlip_autopipec.exploration.random_crystals import random_crystal
from aiida_mlip_autopipec.exploration.walkers import divide, make_walkers
from aiida_mlip_autopipec.generator.structure import keeps_distance

from .conftest import only

CONFIG = ExplorationConfig()


@pytest.mark.parametrize("elements", [["Cu"], ["Si"], ["Cu", "Al"], ["Li", "H"]])
def test_walkers_are_sound_and_small_enough(elements: list[str]) -> None:
    config = ExplorationConfig(max_atoms=20)
    walkers = make_walkers(elements, config, 0)
    assert [walker.info["walker"] for walker in walkers] == list(range(config.walkers.total))
    assert Counter(walker.info["family"] for walker in walkers) == {
        "explored_md": 12,
        "explored_vacancy": 3,
        "explored_surface": 3,
        "explored_cluster": 3,
        "explored_deformation": 6,
        "explored_relaxation": 9,
    }
    for walker in walkers:
        assert 1 <= len(walker) <= 20
        assert walker.pbc.all() or not walker.pbc.any()
        assert keeps_distance(walker, config.min_distance_fraction)
        assert set(walker.symbols) <= set(elements)
    assert {symbol for walker in walkers for symbol in walker.symbols} == set(elements)


def test_the_same_arguments_give_the_same_walkers_and_another_round_others() -> None:
    few = dict.fromkeys(WalkerCounts.model_fields, 2)

    def content(number: int, seed: int = 42) -> list[tuple[bytes, int]]:
        walkers = make_walkers(["Cu"], ExplorationConfig(walkers=few, seed=seed), number)
        return [(walker.positions.tobytes(), walker.info["seed"]) for walker in walkers]

    first = content(0)
    assert content(0) == first
    assert set(content(1)).isdisjoint(first)
    assert set(content(0, seed=7)).isdisjoint(first)


def test_more_walkers_of_a_kind_do_not_change_those_of_others() -> None:
    def relaxed(**counts: int) -> list[bytes]:
        walkers = make_walkers(["Cu"], ExplorationConfig(walkers=only(relaxation=4, **counts)), 0)
        return [walker.positions.tobytes() for walker in walkers if walker.info["kind"] == "relaxation"]

    assert relaxed() == relaxed(nvt=3)


def test_temperatures_and_pressures_are_taken_in_turn() -> None:
    config = ExplorationConfig(walkers=only(npt=15), temperatures=(300, 600, 900, 1200, 1500), pressures=(0, 5, 10))
    for number in range(2):
        walkers = make_walkers(["Cu"], config, number)
        assert len({(walker.info["temperature"], walker.info["pressure"]) for walker in walkers}) == 15
        assert walkers[0].info["temperature"] == config.temperatures[number]
    square = ExplorationConfig(walkers=only(npt=9), temperatures=(300, 600, 900), pressures=(0, 5, 10))
    walkers = make_walkers(["Cu"], square, 0)
    assert len({(walker.info["temperature"], walker.info["pressure"]) for walker in walkers}) == 9


def test_what_stands_at_constant_pressure_is_periodic_and_has_no_vacuum() -> None:
    for walker in make_walkers(["Cu"], CONFIG, 0):
        at_pressure = "pressure" in walker.info
        assert at_pressure <= walker.pbc.all()
        assert not (at_pressure and walker.info["family"] == "explored_surface")


def test_the_step_resolves_the_vibrations_of_the_lightest_atom() -> None:
    def step(*elements: str) -> float:
        return make_walkers(elements, ExplorationConfig(walkers=only(nvt=1)), 0)[0].info["timestep"]

    assert step("Cu") == 2.0
    assert step("H", "Cu") == pytest.approx(0.5, abs=0.01)
    assert 1.2 < step("Li") < 1.5
    own = ExplorationConfig(walkers=only(nvt=1), timestep=3.0)
    assert make_walkers(["H"], own, 0)[0].info["timestep"] == 3.0


def test_half_of_the_dynamics_start_from_given_structures() -> None:
    fit, large, cluster = bulk("Cu", cubic=True), bulk("Cu", cubic=True) * 3, Atoms("Cu4", positions=np.eye(4, 3) * 2.5)
    config = ExplorationConfig(walkers=only(nvt=4, npt=4, cluster=2))
    walkers = make_walkers(["Cu"], config, 0, [large, fit, cluster])
    from_given = [walker for walker in walkers if np.array_equal(walker.positions, fit.positions)]
    assert [walker.info["walker"] for walker in from_given] == [1, 3, 5, 7]
    assert make_walkers(["Cu"], config, 0, [large]) == make_walkers(["Cu"], config, 0)


def test_walkers_are_divided_among_jobs() -> None:
    walkers = make_walkers(["Cu"], CONFIG, 0)
    parts = divide(walkers, 7)
    assert len(parts) == 7
    assert sorted(walker.info["walker"] for part in parts for walker in part) == list(range(CONFIG.walkers.total))
    assert all(len({walker.info["family"] for walker in part}) >= 4 for part in parts)
    assert len(divide(walkers[:3], 7)) == 3


def test_random_crystals_have_symmetry_and_differ() -> None:
    spglib = pytest.importorskip("spglib")
    random = np.random.default_rng(0)
    crystals = [random_crystal(["Al", "Cu"], 12, random) for _ in range(30)]
    groups = [
        spglib.get_symmetry_dataset((cell.cell.array, cell.get_scaled_positions(), cell.numbers), 1e-3).number
        for cell in crystals
    ]
    assert sum(group > 2 for group in groups) > 24
    assert len(set(groups)) > 8
    assert all(keeps_distance(cell, 0.75) and len(cell) <= 12 for cell in crystals)


def test_elements_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown element 'Xx'"):
        make_walkers(["Xx"], CONFIG, 0)
