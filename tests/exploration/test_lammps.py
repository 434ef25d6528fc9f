"""Molecular dynamics by LAMMPS, one with the package ML-PACE where that is to be had."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from acecommon.deadline import Deadline
from acecommon.errors import ExplainedError
from acecommon.potential import load_potential
from aceexplore.explore import read_settings
from aceexplore.lammps import LOOK_EVERY, Lammps
from aceexplore.walker import read_walkers
from ase import Atoms, units
from ase.build import bulk

from .conftest import Potential, explore, near_equilibrium, write_settings

LAMMPS = os.environ.get("MLIP_LAMMPS")

real = pytest.mark.skipif(LAMMPS is None, reason="MLIP_LAMMPS names no LAMMPS with pair_style pace/extrapolation")


@pytest.mark.parametrize(
    ("program", "told"), [("no-such-lammps", "cannot be run as 'no-such-lammps'"), ("echo", "package ML-PACE")]
)
def test_a_program_that_cannot_do_it(program: str, told: str, narrow: Potential, tmp_path: Path) -> None:
    outcome = explore(tmp_path, [near_equilibrium()], narrow.yaml, narrow.asi, lammps=program)
    assert outcome.status != 0
    assert outcome.failure["kind"] == "not_installed" and told in outcome.failure["message"]


FRAME = """ITEM: TIMESTEP
{step}
ITEM: NUMBER OF ATOMS
1
ITEM: BOX BOUNDS pp pp pp
0.0 4.0
0.0 4.0
0.0 4.0
ITEM: ATOMS id type xu yu zu vx vy vz f_grade
1 1 0.0 0.0 {step} 0.0 0.0 0.0 {grade}
"""


def program_that(folder: Path, *lines: str) -> Path:
    """Return a program that says that it is LAMMPS, and does but these lines of shell."""
    program = folder / "lmp"
    asked = '[ "$1" = -help ] && echo "LAMMPS: pace/extrapolation" && exit'
    program.write_text("\n".join(["#!/bin/sh", asked, *lines]) + "\n")
    program.chmod(0o755)
    return program


def frames(*grades: float) -> str:
    """Return the line that writes frames with these grades."""
    return "cat >frames.dump <<'E'\n" + "".join(FRAME.format(step=10 * n, grade=g) for n, g in enumerate(grades)) + "E"


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (['echo "ERROR: too old" >"$4"; exit 1'], "LAMMPS ended with status 1: ERROR: too old"),
        (["exit 0"], "LAMMPS ended after 0 of 0 steps, and told of no error"),
    ],
)
def test_a_program_that_fails_whatever_it_is_given(
    lines: list[str], told: str, narrow: Potential, tmp_path: Path
) -> None:
    walkers = [near_equilibrium(0, kind="relaxation"), near_equilibrium(1)]
    outcome = explore(tmp_path / "run", walkers, narrow.yaml, narrow.asi, lammps=str(program_that(tmp_path, *lines)))
    assert outcome.status != 0
    assert outcome.failure["kind"] == "potential_unusable"
    assert f"cannot use the potential: {told}" in outcome.failure["message"]


def steps_of(program: Path, potential: Potential, deadline: Deadline, steps: int = 20) -> Iterator[int]:
    """Let a walker of one atom go."""
    write_settings(Path(), stop_grade=12.0)
    atom = Atoms("Cu", cell=[4.0] * 3, pbc=True, info=near_equilibrium(steps=steps).info)
    (walker,) = read_walkers([atom])
    lammps = Lammps.of(str(program), potential.yaml, potential.asi, read_settings(Path("settings.json"))[0], deadline)
    return lammps(walker.start.copy(), walker)


@pytest.mark.parametrize(
    ("lines", "steps", "told"),
    [
        ([frames(1, 2)], [0, 10], "ended after 10 of 20 steps"),
        ([frames(1, 2), "echo ITEM: TIMESTEP >>frames.dump; kill -9 $$"], [0, 10], "status -9: it wrote no log"),
        ([frames(1, 2), 'echo "ERROR: Lost atoms" >"$4"; exit 1'], [0, 10], "status 1: ERROR: Lost atoms"),
        ([frames(1, 13)], [0, 10], None),
        ([frames(1, 2, 3)], [0, 10, 20], None),
    ],
)
def test_what_was_done_before_an_end_is_looked_at(
    lines: list[str],
    steps: list[int],
    told: str | None,
    narrow: Potential,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    looked = []
    try:
        for step in steps_of(program_that(tmp_path, *lines), narrow, Deadline()):
            looked.append(step)
    except RuntimeError as error:
        assert told is not None and told in str(error)
    else:
        assert told is None
    assert looked == steps
    assert not any((tmp_path / "lammps").iterdir())


def test_nothing_goes_on_after_the_walltime(narrow: Potential, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    witness = tmp_path / "witness"
    program = program_that(tmp_path, f"(sleep 3; touch {witness}) & sleep 60")
    with pytest.raises(ExplainedError, match="the walltime ended"):
        list(steps_of(program, narrow, Deadline(time.monotonic() + 1)))
    time.sleep(4)
    assert not witness.exists(), "what a wrapper started ends too"


@real
def test_a_walker_ends_at_the_limit_and_hands_in_what_came_before(narrow: Potential, tmp_path: Path) -> None:
    walkers = [near_equilibrium(0), near_equilibrium(1, pressure=5.0), near_equilibrium(2, temperature=300.0)]
    limits = {"select_grade": 3.0, "stop_grade": 12.0, "growth": 1.5}
    outcome = explore(tmp_path, walkers, narrow.yaml, narrow.asi, lammps=LAMMPS, **limits)
    assert outcome.status == 0, outcome.log
    assert "molecular dynamics by Large-scale Atomic/Molecular" in outcome.log
    hot, pressed, cold = outcome.report["walkers"]
    for way in (hot, pressed):
        assert way["ended"] == "stop_grade" and way["steps"] < way["steps_asked"] and way["largest_grade"] >= 12.0
        grades = [atoms.info["grade"] for atoms in outcome.frames if atoms.info["walker"] == way["walker"]]
        assert len(grades) == way["handed_in"] >= 1 and all(grade >= 3.0 for grade in grades)
    assert (cold["ended"], cold["steps"]) == ("all_steps", 300)
    assert all(atoms.info["step"] % LOOK_EVERY == 0 for atoms in outcome.frames)
    assert not any((tmp_path / "lammps").iterdir())


@pytest.fixture
def dynamics(narrow: Potential, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that lets LAMMPS run a walker and yields the structure with the potential as its calculator."""
    monkeypatch.chdir(tmp_path)
    write_settings(tmp_path, stop_grade=1e6)

    def run(walker: Atoms) -> Iterator[Atoms]:
        (one,) = read_walkers([walker])
        limits, _ = read_settings(Path("settings.json"))
        lammps = Lammps.of(str(LAMMPS), narrow.yaml, narrow.asi, limits, Deadline())
        atoms = one.start.copy()
        atoms.calc = load_potential(narrow.yaml)
        for _ in lammps(atoms, one):
            yield atoms

    return run


@real
def test_temperature_and_pressure_are_those_asked_for(dynamics: Any) -> None:
    # Skewed, and not as LAMMPS wants cells.
    cell = bulk("Cu", a=3.6) * (3, 3, 3)
    cell.rotate(40, (1, 2, 3), rotate_cell=True)
    cell.rattle(0.02, seed=1)
    cell.info = near_equilibrium(temperature=300.0, pressure=3.0, steps=3000).info
    temperatures, pressures = [], []
    for atoms in dynamics(cell):
        temperatures.append(atoms.get_temperature())
        pressures.append(-np.mean(atoms.get_stress(include_ideal_gas=True)[:3]) / units.GPa)
    half = len(pressures) // 2
    assert len(pressures) == 3000 / LOOK_EVERY + 1
    assert np.mean(temperatures[half:]) == pytest.approx(300, rel=0.1)
    assert np.mean(pressures[half:]) == pytest.approx(3.0, abs=0.5)


@real
def test_a_cluster_has_no_cell(dynamics: Any) -> None:
    cluster = Atoms("Cu4", positions=[[0, 0, 0], [2.4, 0, 0], [0, 2.4, 0], [0, 0, 2.4]])
    cluster.info = near_equilibrium(temperature=300.0, steps=10).info
    frames = [atoms.copy() for atoms in dynamics(cluster)]
    assert len(frames) == 2 and not any(atoms.pbc.any() for atoms in frames)
    moved = np.linalg.norm(frames[-1].get_all_distances() - frames[0].get_all_distances())
    assert 0 < moved < 0.5


@real
def test_an_error_of_lammps_is_told(dynamics: Any) -> None:
    with pytest.raises(RuntimeError, match=r"LAMMPS ended with status .*ERROR"):
        list(dynamics(Atoms("H2", positions=[[0, 0, 0], [0, 0, 0.7]], info=near_equilibrium().info)))
