"""Samplers of a round: valid structures of limited size, different in each round."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111

from aiida_mlip_autopipec.config.schemas.exploration import ExplorationConfig, SamplerCounts
from aiida_mlip_autopipec.exploration.samplers import divide_among_jobs, make_samplers
from aiida_mlip_autopipec.generator.crystals import supercell
from aiida_mlip_autopipec.generator.distances import keeps_distance

from .conftest import only

CONFIG = ExplorationConfig()


@pytest.mark.parametrize("elements", [["Cu"], ["Si"], ["Cu", "Al"], ["Li", "H"]])
def test_samplers_are_valid_and_small_enough(elements: list[str]) -> None:
    config = ExplorationConfig(max_atoms=20)
    samplers = make_samplers(elements, config, 0)
    assert [sampler.info["walker"] for sampler in samplers] == list(range(config.walkers.total))
    assert Counter(sampler.info["family"] for sampler in samplers) == {
        "explored_md": 12,
        "explored_vacancy": 3,
        "explored_surface": 3,
        "explored_cluster": 3,
        "explored_deformation": 6,
        "explored_relaxation": 9,
        "explored_melt_quench": 2,
    }
    for sampler in samplers:
        assert 1 <= len(sampler) <= 20
        assert sampler.pbc.all() or not sampler.pbc.any()
        assert keeps_distance(sampler, config.min_distance_fraction)
        assert set(sampler.symbols) <= set(elements)
    assert {symbol for sampler in samplers for symbol in sampler.symbols} == set(elements)


def test_the_same_arguments_give_the_same_samplers_and_another_round_others() -> None:
    few = dict.fromkeys(SamplerCounts.model_fields, 2)

    def content(number: int, seed: int = 42) -> list[tuple[bytes, int]]:
        samplers = make_samplers(["Cu"], ExplorationConfig(walkers=few, seed=seed), number)
        return [(sampler.positions.tobytes(), sampler.info["seed"]) for sampler in samplers]

    first = content(0)
    assert content(0) == first
    assert set(content(1)).isdisjoint(first)
    assert set(content(0, seed=7)).isdisjoint(first)


def test_more_samplers_of_a_kind_do_not_change_those_of_other_kinds() -> None:
    def relaxed(**counts: int) -> list[bytes]:
        samplers = make_samplers(["Cu"], ExplorationConfig(walkers=only(relaxation=4, **counts)), 0)
        return [sampler.positions.tobytes() for sampler in samplers if sampler.info["kind"] == "relaxation"]

    assert relaxed() == relaxed(nvt=3)


def test_temperatures_and_pressures_are_taken_in_turn() -> None:
    config = ExplorationConfig(walkers=only(npt=15), temperatures=(300, 600, 900, 1200, 1500), pressures=(0, 5, 10))
    for number in range(2):
        samplers = make_samplers(["Cu"], config, number)
        assert len({(sampler.info["temperature"], sampler.info["pressure"]) for sampler in samplers}) == 15
        assert samplers[0].info["temperature"] == config.temperatures[number]
    square = ExplorationConfig(walkers=only(npt=9), temperatures=(300, 600, 900), pressures=(0, 5, 10))
    samplers = make_samplers(["Cu"], square, 0)
    assert len({(sampler.info["temperature"], sampler.info["pressure"]) for sampler in samplers}) == 9


def test_samplers_at_constant_pressure_are_periodic_and_have_no_vacuum() -> None:
    for sampler in make_samplers(["Cu"], CONFIG, 0):
        at_pressure = "pressure" in sampler.info
        assert at_pressure <= sampler.pbc.all()
        assert not (at_pressure and sampler.info["family"] == "explored_surface")


def test_automatic_time_step_depends_on_the_lightest_atom() -> None:
    def step(*elements: str) -> float:
        return make_samplers(elements, ExplorationConfig(walkers=only(nvt=1)), 0)[0].info["timestep"]

    assert step("Cu") == 2.0
    assert step("H", "Cu") == pytest.approx(0.5, abs=0.01)
    assert 1.2 < step("Li") < 1.5
    own = ExplorationConfig(walkers=only(nvt=1), timestep=3.0)
    assert make_samplers(["H"], own, 0)[0].info["timestep"] == 3.0


def test_half_of_the_dynamics_start_from_given_structures() -> None:
    fit, large, cluster = bulk("Cu", cubic=True), bulk("Cu", cubic=True) * 3, Atoms("Cu4", positions=np.eye(4, 3) * 2.5)
    config = ExplorationConfig(walkers=only(nvt=4, npt=4, cluster=2, surface=2))
    slab = fcc111("Cu", (1, 1, 4), vacuum=6.0, periodic=True)
    samplers = make_samplers(["Cu"], config, 0, [large, fit, cluster, slab])
    start = supercell(fit, config.max_atoms)
    from_given = [sampler for sampler in samplers if np.array_equal(sampler.positions, start.positions)]
    assert [sampler.info["walker"] for sampler in from_given] == [1, 3, 5, 7]
    by_family = {
        family: [s for s in samplers if s.info["family"] == f"explored_{family}"] for family in ("surface", "cluster")
    }
    assert np.allclose(by_family["cluster"][1].get_all_distances(), cluster.get_all_distances())
    # Doubled in its plane only: the vacuum is that of the given slab.
    assert len(by_family["surface"][1]) == 32
    assert by_family["surface"][1].cell.lengths()[2] == pytest.approx(slab.cell.lengths()[2])
    assert make_samplers(["Cu"], config, 0, [large]) == make_samplers(["Cu"], config, 0)


def test_samplers_are_divided_among_jobs() -> None:
    samplers = make_samplers(["Cu"], CONFIG, 0)
    parts = divide_among_jobs(samplers, 7)
    assert len(parts) == 7
    assert sorted(sampler.info["walker"] for part in parts for sampler in part) == list(range(CONFIG.walkers.total))
    assert all(len({sampler.info["family"] for sampler in part}) >= 4 for part in parts)
    assert len(divide_among_jobs(samplers[:3], 7)) == 3


def test_given_phases_are_start_structures_in_turn() -> None:
    phases = [bulk("Cu"), bulk("Al"), bulk("AlCu", "cesiumchloride", a=2.9), bulk("Cu", "hcp", a=2.55)]
    config = ExplorationConfig(walkers=only(npt=4, deformation=4, melt_quench=2))
    used = []
    for number in range(2):
        samplers = make_samplers(["Al", "Cu"], config, number, phases)
        assert len(samplers) == 10
        used += [s.get_chemical_formula(empirical=True) for s in samplers if s.info["family"] == "explored_md"][1::2]
        (melt,) = [s for s in samplers if s.info["family"] == "explored_melt_quench"][1::2]
        assert melt.info["temperature"] == 4000 and melt.info["final_temperature"] == 300
        assert len(melt) >= 16
    assert used == ["Cu", "Al", "AlCu", "Cu"]


def test_unknown_elements_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown element 'Xx'"):
        make_samplers(["Xx"], CONFIG, 0)


def test_every_second_md_run_starts_from_a_supercell_of_a_given_structure() -> None:
    config = ExplorationConfig(max_atoms=16, walkers={"nvt": 4, "npt": 0, "deformation": 0, "relaxation": 0})
    samplers = make_samplers(["Al", "Ni"], config, 0, [bulk("NiAl", "cesiumchloride", a=2.9)])
    starts = [sampler for sampler in samplers if sampler.info["family"] == "explored_md"]
    assert [start.get_chemical_formula() for start in starts[1::2]] == ["Al8Ni8", "Al8Ni8"]
