"""Molecular dynamics by LAMMPS, with ML-PACE where it is installed."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from ase import Atoms, units
from ase.build import bulk
from mlip_common.deadline import Deadline
from mlip_common.errors import ProgramError
from mlip_common.potential import load_potential
from mlip_explore.explore import read_settings
from mlip_explore.lammps import GRADE_INTERVAL, Lammps, lammps_input
from mlip_explore.sampler import Limits, read_samplers

from .conftest import Potential, explore, near_equilibrium, write_settings

LAMMPS = os.environ.get("MLIP_LAMMPS")

real = pytest.mark.skipif(LAMMPS is None, reason="MLIP_LAMMPS names no LAMMPS with pair_style pace/extrapolation")


@pytest.mark.parametrize(
    ("program", "message"), [("no-such-lammps", "cannot be run as 'no-such-lammps'"), ("echo", "package ML-PACE")]
)
def test_missing_or_unsuitable_lammps_is_refused(program: str, message: str, narrow: Potential, tmp_path: Path) -> None:
    outcome = explore(tmp_path, [near_equilibrium()], narrow.yaml, narrow.asi, lammps=program)
    assert outcome.status != 0
    assert outcome.failure["kind"] == "not_installed" and message in outcome.failure["message"]


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
    """Return a fake LAMMPS that runs these lines of shell."""
    program = folder / "lmp"
    asked = '[ "$1" = -help ] && echo "LAMMPS: pace/extrapolation" && exit'
    program.write_text("\n".join(["#!/bin/sh", asked, *lines]) + "\n")
    program.chmod(0o755)
    return program


def frames(*grades: float) -> str:
    """Return the shell line that writes frames with these grades."""
    return "cat >frames.dump <<'E'\n" + "".join(FRAME.format(step=10 * n, grade=g) for n, g in enumerate(grades)) + "E"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (['echo "ERROR: too old" >"$4"; exit 1'], "LAMMPS ended with status 1: ERROR: too old"),
        (["exit 0"], "LAMMPS ended after 0 of 0 steps without an error"),
    ],
)
def test_lammps_that_cannot_use_the_potential_stops_the_job(
    lines: list[str], message: str, narrow: Potential, tmp_path: Path
) -> None:
    walkers = [near_equilibrium(0, kind="relaxation"), near_equilibrium(1)]
    outcome = explore(tmp_path / "run", walkers, narrow.yaml, narrow.asi, lammps=str(program_that(tmp_path, *lines)))
    assert outcome.status != 0
    assert outcome.failure["kind"] == "potential_unusable"
    assert f"cannot use the potential: {message}" in outcome.failure["message"]


def test_user_commands_are_tested_before_the_first_md_run(narrow: Potential, tmp_path: Path) -> None:
    rejects = 'grep -q "fix mine" "$2" && echo "ERROR: Unrecognized fix style" >"$4" && exit 1'
    program = program_that(tmp_path, rejects, frames(1))
    walkers = [near_equilibrium(0)]
    outcome = explore(
        tmp_path / "run", walkers, narrow.yaml, narrow.asi, lammps=str(program), lammps_input="fix mine all myfix"
    )
    assert outcome.failure["kind"] == "bad_input"
    assert "exploration.lammps_input" in outcome.failure["message"]
    assert "ERROR: Unrecognized fix style" in outcome.failure["message"]


def test_settings_of_the_sampler_are_variables_of_user_commands() -> None:
    (sampler,) = read_samplers([near_equilibrium(pressure=5.0)])
    limits = Limits(**{field.name: 2.0 for field in fields(Limits)})
    text = lammps_input(sampler.start, sampler, limits, "fix move all npt temp ${temperature} ${temperature} 0.1")
    lines = text.splitlines()
    assert "variable pressure index 50000.0" in lines and "variable ensemble index npt" in lines
    assert "fix move all npt temp ${temperature} ${temperature} 0.1" in lines
    assert not any("langevin" in line for line in lines)
    assert lines.index("variable seed index " + str(1 + sampler.seed % 900_000_000)) < lines.index("thermo 300")


def steps_of(program: Path, potential: Potential, deadline: Deadline, steps: int = 20) -> Iterator[int]:
    """Run a sampler of one atom."""
    write_settings(Path(), stop_grade=12.0)
    atom = Atoms("Cu", cell=[4.0] * 3, pbc=True, info=near_equilibrium(steps=steps).info)
    (sampler,) = read_samplers([atom])
    lammps = Lammps.find(str(program), potential.yaml, potential.asi, read_settings(Path("settings.json"))[0], deadline)
    return lammps(sampler.start.copy(), sampler)


@pytest.mark.parametrize(
    ("lines", "steps", "message"),
    [
        ([frames(1, 2)], [0, 10], "ended after 10 of 20 steps"),
        ([frames(1, 2), "echo ITEM: TIMESTEP >>frames.dump; kill -9 $$"], [0, 10], "status -9: it wrote no log"),
        ([frames(1, 2), 'echo "ERROR: Lost atoms" >"$4"; exit 1'], [0, 10], "status 1: ERROR: Lost atoms"),
        ([frames(1, 13)], [0, 10], None),
        ([frames(1, 2, 3)], [0, 10, 20], None),
    ],
)
def test_frames_before_a_failure_are_checked(
    lines: list[str],
    steps: list[int],
    message: str | None,
    narrow: Potential,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    checked = []
    try:
        for step in steps_of(program_that(tmp_path, *lines), narrow, Deadline()):
            checked.append(step)
    except RuntimeError as error:
        assert message is not None and message in str(error)
    else:
        assert message is None
    assert checked == steps
    assert not any((tmp_path / "lammps").iterdir())


def test_all_processes_are_killed_at_the_walltime(
    narrow: Potential, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    started = tmp_path / "started"
    program = program_that(tmp_path, "sleep 300 &", f"echo $! > {started}", "wait")
    with pytest.raises(ProgramError, match="the walltime ended"):
        list(steps_of(program, narrow, Deadline(time.monotonic() + 1)))
    # Processes started by a wrapper are killed too.
    with suppress(psutil.NoSuchProcess):
        psutil.Process(int(started.read_text())).wait(timeout=30)


@real
def test_a_sampler_stops_at_the_limit_and_saves_frames_before(narrow: Potential, tmp_path: Path) -> None:
    walkers = [near_equilibrium(0), near_equilibrium(1, pressure=5.0), near_equilibrium(2, temperature=300.0)]
    limits = {"select_grade": 3.0, "stop_grade": 12.0, "growth": 1.5}
    outcome = explore(tmp_path, walkers, narrow.yaml, narrow.asi, lammps=LAMMPS, **limits)
    assert outcome.status == 0, outcome.log
    assert "molecular dynamics by Large-scale Atomic/Molecular" in outcome.log
    hot, pressed, cold = outcome.report["walkers"]
    for record in (hot, pressed):
        assert (
            record["ended"] == "stop_grade"
            and record["steps"] < record["steps_asked"]
            and record["largest_grade"] >= 12.0
        )
        grades = [atoms.info["grade"] for atoms in outcome.frames if atoms.info["walker"] == record["walker"]]
        assert len(grades) == record["handed_in"] >= 1 and all(grade >= 3.0 for grade in grades)
    assert (cold["ended"], cold["steps"]) == ("all_steps", 300)
    assert all(atoms.info["step"] % GRADE_INTERVAL == 0 for atoms in outcome.frames)
    assert not any((tmp_path / "lammps").iterdir())


@pytest.fixture
def dynamics(narrow: Potential, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that runs LAMMPS and yields the structure with the potential as its calculator."""
    monkeypatch.chdir(tmp_path)
    write_settings(tmp_path, stop_grade=1e6)

    def run(start: Atoms) -> Iterator[Atoms]:
        (sampler,) = read_samplers([start])
        limits, _ = read_settings(Path("settings.json"))
        lammps = Lammps.find(str(LAMMPS), narrow.yaml, narrow.asi, limits, Deadline())
        atoms = sampler.start.copy()
        atoms.calc = load_potential(narrow.yaml)
        for _ in lammps(atoms, sampler):
            yield atoms

    return run


@real
def test_temperature_and_pressure_are_those_of_the_sampler(dynamics: Any) -> None:
    # A skewed cell, not in the convention of LAMMPS.
    cell = bulk("Cu", a=3.6) * (3, 3, 3)
    cell.rotate(40, (1, 2, 3), rotate_cell=True)
    cell.rattle(0.02, seed=1)
    cell.info = near_equilibrium(temperature=300.0, pressure=3.0, steps=3000).info
    temperatures, pressures = [], []
    for atoms in dynamics(cell):
        temperatures.append(atoms.get_temperature())
        pressures.append(-np.mean(atoms.get_stress(include_ideal_gas=True)[:3]) / units.GPa)
    half = len(pressures) // 2
    assert len(pressures) == 3000 / GRADE_INTERVAL + 1
    assert np.mean(temperatures[half:]) == pytest.approx(300, rel=0.1)
    assert np.mean(pressures[half:]) == pytest.approx(3.0, abs=0.5)


@real
def test_cluster_is_not_periodic_in_lammps(dynamics: Any) -> None:
    cluster = Atoms("Cu4", positions=[[0, 0, 0], [2.4, 0, 0], [0, 2.4, 0], [0, 0, 2.4]])
    cluster.info = near_equilibrium(temperature=300.0, steps=10).info
    frames = [atoms.copy() for atoms in dynamics(cluster)]
    assert len(frames) == 2 and not any(atoms.pbc.any() for atoms in frames)
    moved = np.linalg.norm(frames[-1].get_all_distances() - frames[0].get_all_distances())
    assert 0 < moved < 0.5


@real
def test_an_error_of_lammps_is_in_the_message(dynamics: Any) -> None:
    with pytest.raises(RuntimeError, match=r"LAMMPS ended with status .*ERROR"):
        list(dynamics(Atoms("H2", positions=[[0, 0, 0], [0, 0, 0.7]], info=near_equilibrium().info)))
