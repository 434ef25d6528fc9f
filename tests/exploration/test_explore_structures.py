"""The program `explore_structures`: saved frames, stop reasons and failures."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms

from aiida_mlip_autopipec.programs.codes import JOBS

from ..conftest import WALLTIMES
from ..warm_python import run_fresh
from .conftest import Potential, explore, near_equilibrium

SELECT, STOP = 3.0, 12.0


def test_hot_samplers_save_frames_between_the_limits(narrow: Potential, tmp_path: Path) -> None:
    walkers = [near_equilibrium(number) for number in range(3)]
    walkers.append(near_equilibrium(3, kind="deformation", strain=np.diag([0.3, 0.0, 0.0]).tolist(), steps=60))
    limits = {"select_grade": SELECT, "stop_grade": STOP, "growth": 1.5}
    outcome = explore(tmp_path, walkers, narrow.yaml, narrow.asi, **limits)
    assert outcome.status == 0, outcome.log
    assert {record["ended"] for record in outcome.report["walkers"]} == {"stop_grade"}
    for record in outcome.report["walkers"]:
        frames = [atoms for atoms in outcome.frames if atoms.info["walker"] == record["walker"]]
        grades = [atoms.info["grade"] for atoms in frames]
        assert 1 <= len(grades) == record["handed_in"] <= 6
        assert all(SELECT <= grade < STOP for grade in grades)
        assert grades == sorted(grades)
        assert record["largest_grade"] >= STOP
        assert all(atoms.info["step"] <= record["steps"] < record["steps_asked"] for atoms in frames)
        assert {atoms.info["ended"] for atoms in frames} == {"stop_grade"}
    assert outcome.frames[0].info["temperature"] == 2500.0
    assert f"{len(walkers)} of {len(walkers)} done, 0 s left" in outcome.log


def test_samplers_with_small_grades_save_no_frames(narrow: Potential, tmp_path: Path) -> None:
    walkers = [near_equilibrium(0, temperature=300.0), near_equilibrium(1, kind="relaxation", pressure=0.0)]
    outcome = explore(tmp_path, walkers, narrow.yaml, narrow.asi, select_grade=5.0)
    assert outcome.status == 0, outcome.log
    assert [record["ended"] for record in outcome.report["walkers"]] == ["all_steps", "relaxed"]
    assert outcome.frames == []


def test_samplers_save_frames_at_intervals_and_at_their_end(narrow: Potential, tmp_path: Path) -> None:
    walkers = [near_equilibrium(0, temperature=300.0), near_equilibrium(1, kind="relaxation", pressure=0.0)]
    outcome = explore(tmp_path, walkers, narrow.yaml, narrow.asi, select_grade=5.0, save_interval=80)
    assert outcome.status == 0, outcome.log
    dynamics, relaxation = ([atoms for atoms in outcome.frames if atoms.info["walker"] == n] for n in (0, 1))
    assert [atoms.info["step"] for atoms in dynamics] == [80, 160, 240, 300]
    assert relaxation[-1].info["step"] == outcome.report["walkers"][1]["steps"]
    assert max(atoms.info["grade"] for atoms in outcome.frames) < 5.0


def test_a_start_with_a_large_grade_is_saved(narrow: Potential, tmp_path: Path) -> None:
    cluster = Atoms("Cu4", positions=[[0, 0, 0], [2.4, 0, 0], [0, 2.4, 0], [0, 0, 2.4]])
    cluster.info = near_equilibrium().info
    outcome = explore(tmp_path, [cluster], narrow.yaml, narrow.asi)
    (record,), (frame,) = outcome.report["walkers"], outcome.frames
    assert (record["ended"], record["steps"]) == ("unknown_start", 0)
    assert np.array_equal(frame.positions, cluster.positions) and frame.info["grade"] > 25


def test_the_same_seeds_give_the_same_frames_on_any_number_of_processes(narrow: Potential, tmp_path: Path) -> None:
    walkers = [near_equilibrium(number, pressure=5.0 * number) for number in range(2)]
    walkers.append(near_equilibrium(0, walker=2, seed=77, pressure=0.0))
    one, two = (
        explore(tmp_path / number, walkers, narrow.yaml, narrow.asi, "--workers", number) for number in ("1", "2")
    )
    assert [a.info for a in one.frames] == [b.info for b in two.frames]
    assert all(np.array_equal(a.positions, b.positions) for a, b in zip(one.frames, two.frames, strict=True))
    first = {frame.info["walker"]: frame.positions for frame in reversed(one.frames)}
    assert len(first) == 3 and not np.array_equal(first[0], first[2])


@pytest.fixture(scope="module")
def attractive(narrow: Potential, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A potential without repulsion, in which atoms collapse onto each other."""
    content = re.sub(r"core-repulsion: \[.*?\]", "core-repulsion: [0, 1]", narrow.yaml.read_text())
    content = re.sub(r"parameters: \[1, 1, \S+,", "parameters: [1, 1, 0,", content)
    content = re.sub(r"c: \[([^,\]]+)", lambda match: f"c: [{-10 * float(match[1])}", content)
    path = tmp_path_factory.mktemp("attractive") / "potential.yaml"
    path.write_text(content)
    return path


def test_diverging_dynamics_stop_only_their_sampler(attractive: Path, narrow: Potential, tmp_path: Path) -> None:
    limits = {"select_grade": 1e8, "stop_grade": 1e9}
    walkers = [
        near_equilibrium(0),
        near_equilibrium(1, pressure=0.0),
        near_equilibrium(2, kind="relaxation", pressure=0.0),
        near_equilibrium(3, timestep=200.0),
        near_equilibrium(4, kind="deformation", strain=(-0.9 * np.eye(3)).tolist()),
        near_equilibrium(5),
    ]
    walkers[5].positions[1] = walkers[5].positions[0] + 0.1
    outcome = explore(tmp_path, walkers, attractive, narrow.asi, **limits)
    assert outcome.status == 0, outcome.log
    records = outcome.report["walkers"]
    ends = [record["ended"] for record in records]
    assert set(ends) <= {"too_close", "too_hot", "volume", "not_finite"}, outcome.log
    assert all(record["reason"] for record in records)
    # Before the failure the grade was small: the last physical frame is saved, except for unphysical starts and given paths.
    assert [record["handed_in"] for record in records] == [1, 1, 1, 1, 0, 0]
    assert all(np.isfinite(atoms.positions).all() for atoms in outcome.frames)


def test_predictions_that_are_not_finite_stop_a_sampler(narrow: Potential, tmp_path: Path) -> None:
    nothing = tmp_path / "potential.yaml"
    nothing.write_text(re.sub(r"c: \[[^,\]]+", "c: [.nan", narrow.yaml.read_text()))
    outcome = explore(tmp_path / "run", [near_equilibrium()], nothing, narrow.asi)
    assert outcome.status == 0, outcome.log
    assert outcome.report["walkers"][0]["ended"] == "not_finite"


def test_finished_samplers_are_kept_at_the_end_of_the_walltime(narrow: Potential, tmp_path: Path) -> None:
    endless = near_equilibrium(1, temperature=10.0, steps=10**6)
    walkers = [near_equilibrium(0, steps=3), endless]
    for seconds in map(str, WALLTIMES):
        folder = tmp_path / seconds
        first = explore(folder, walkers, narrow.yaml, narrow.asi, "--walltime", seconds)
        assert (first.status, first.failure["kind"]) == (14, "out_of_time")
        if (folder / "exploration.json").exists() and first.report["done"]:
            break
    assert (first.report["asked"], first.report["done"]) == (2, 1)
    previous = ("--previous", str(folder))
    second = explore(tmp_path / "second", walkers, narrow.yaml, narrow.asi, "--walltime", seconds, *previous)
    assert "1 of 2 samplers were finished by an earlier job" in second.log
    changed = [near_equilibrium(0, steps=3), near_equilibrium(1, steps=3)]
    third = explore(tmp_path / "third", changed, narrow.yaml, narrow.asi, *previous)
    assert third.status == 0 and "earlier job" not in third.log


SITE = """
import os, signal, sys
if any(argument.endswith("explore_structures") for argument in sys.orig_argv):
    sys.path.insert(0, {portable!r})
    import mlip_explore.explore as explore
    run_sampler = explore.run_sampler
    def deadly(sampler, *given):
        if sampler.number == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return run_sampler(sampler, *given)
    explore.run_sampler = deadly
"""
"""Runs at the start of a Python process: sampler 1 kills its process, as a crash in the evaluation would."""


def test_a_sampler_that_kills_several_jobs_fails_alone(
    narrow: Potential, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlip_explore.store import ATTEMPTS

    (tmp_path / "sitecustomize.py").write_text(SITE.format(portable=str(JOBS)))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    walkers = [near_equilibrium(0, temperature=300.0), *(near_equilibrium(number, steps=3) for number in (1, 2))]
    outcomes = [
        explore(tmp_path / "run", walkers, narrow.yaml, narrow.asi, "--workers", "2", run_program=run_fresh)
        for _ in range(ATTEMPTS + 1)
    ]
    assert outcomes[0].status == 16
    assert outcomes[-1].status == 0, outcomes[-1].log
    assert [record["ended"] for record in outcomes[-1].report["walkers"]] == ["all_steps", "killed", "all_steps"]


@pytest.mark.parametrize(
    ("info", "message"),
    [
        ({"kind": "dance"}, "unknown kind 'dance'; known: md, melt_quench, deformation, relaxation"),
        ({"kind": None}, "unknown kind None"),
        ({"temperature": None}, "lacks temperature"),
        ({"kind": "deformation"}, "lacks strain"),
    ],
)
def test_samplers_with_missing_or_wrong_parameters_are_refused(info: dict[str, Any], message: str) -> None:
    from mlip_common.errors import ProgramError
    from mlip_explore.sampler import read_samplers

    with pytest.raises(ProgramError, match=message) as caught:
        read_samplers([near_equilibrium(0, **info)])
    assert caught.value.kind == "bad_input"


@pytest.mark.parametrize("fault", ["no active set", "of another potential", "no potential", "a .yace"])
def test_invalid_potentials_and_active_sets_are_refused(narrow: Potential, tmp_path: Path, fault: str) -> None:
    from mlip_common.errors import ProgramError
    from mlip_common.potential import load_potential

    yaml, asi = tmp_path / "potential.yaml", tmp_path / "potential.asi"
    shutil.copy(narrow.yaml, yaml)
    shutil.copy(narrow.asi, asi)
    if fault == "no active set":
        asi.unlink()
    elif fault == "of another potential":
        lines = yaml.read_text().splitlines()
        yaml.write_text("\n".join(line for number, line in enumerate(lines) if "nr: [9]" not in line))
    elif fault == "no potential":
        yaml.write_text("elements: [Cu]\n")
    else:
        yaml = narrow.folder / "potential.yace"
    with pytest.raises(ProgramError, match="cannot be loaded") as caught:
        load_potential(yaml, asi)
    assert caught.value.kind == "potential_unusable"


def test_a_melt_is_cooled_in_its_second_half(tmp_path: Path, narrow: Potential) -> None:
    limits = {"select_grade": 1e9, "stop_grade": 1e9}
    walkers = [
        near_equilibrium(0, kind="melt_quench", temperature=800.0, final_temperature=20.0, steps=300, timestep=2.0)
    ]
    outcome = explore(tmp_path, walkers, narrow.yaml, narrow.asi, **limits)
    (record,) = outcome.report["walkers"]
    assert record["kind"] == "melt_quench" and record["ended"] == "all_steps" and record["time_ps"] == 0.6


def test_temperature_of_the_thermostat_of_a_melt_quench() -> None:
    from mlip_explore.dynamics import thermostat
    from mlip_explore.sampler import read_samplers

    start = near_equilibrium(0, kind="melt_quench", temperature=1000.0, final_temperature=200.0, steps=100)
    (sampler,) = read_samplers([start])
    assert [thermostat(sampler, step) for step in (0, 50, 75, 100)] == [1000, 1000, 600, 200]
