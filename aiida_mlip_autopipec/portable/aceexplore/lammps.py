"""Molecular dynamics by LAMMPS, which watches the extrapolation grade itself, in place of ASE's."""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from acecommon.deadline import Deadline
from acecommon.errors import ExplainedError, log
from ase import Atoms
from ase.build import bulk
from ase.data import chemical_symbols, covalent_radii
from ase.io import write
from ase.io.lammpsrun import iread_lammps_dump_text

from .walker import Limits, Walker

PAIR_STYLE = "pace/extrapolation"

LOOK_EVERY = 10
"""Steps between two looks at the grade: a step with a look costs several times as much as one without."""

_SECONDS_TO_ANSWER = 60.0
_DAMPING, _BAROSTAT_TIME = 0.05, 0.5
"""ps"""

_BAR = 1e4
"""of a GPa"""

_PR_SET_PDEATHSIG = 1
"""Of Linux's prctl.h."""

_FOLDER = Path("lammps")
_INPUT, _START, _FRAMES, _LOG = "in.lammps", "start.data", "frames.dump", "log.lammps"
_POTENTIAL, _ACTIVE_SET = "potential.yaml", "potential.asi"


@dataclass(frozen=True)
class Lammps:
    """The dynamics of a walker, run by LAMMPS up to the limit.

    :param program: LAMMPS with the package ML-PACE; one process of it for a walker.
    :param potential: a `.yaml`, and its active set, an `.asi`.
    """

    program: str
    potential: Path
    active_set: Path
    limits: Limits
    deadline: Deadline

    @classmethod
    def of(cls, name: str, potential: Path, active_set: Path, limits: Limits, deadline: Deadline) -> Lammps:
        """Find the program: a name on the PATH, or a path from here or from home.

        :raises ExplainedError: if it is not there.
        """
        found = shutil.which(str(Path(name).expanduser()) if name.startswith("~") else name)
        if found is None:
            raise ExplainedError("not_installed", f"LAMMPS cannot be run as {name!r}: there is no such program")
        return cls(str(Path(found).absolute()), potential, active_set, limits, deadline)

    def check(self, walkers: Sequence[Walker]) -> None:
        """Ask the program whether it can evaluate a potential and its grades, and try it on a small crystal.

        :raises ExplainedError: if it cannot.
        """
        try:
            told = subprocess.run(
                [self.program, "-help"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                timeout=_SECONDS_TO_ANSWER,
            ).stdout
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ExplainedError("not_installed", f"LAMMPS cannot be run as {self.program!r}: {error}") from error
        if PAIR_STYLE not in told.split():
            raise ExplainedError(
                "not_installed",
                f"{self.program!r} has no pair_style {PAIR_STYLE}: build LAMMPS with the package ML-PACE, or leave away "
                "exploration.lammps for molecular dynamics by ASE",
            )
        log(f"molecular dynamics by {next(line for line in told.splitlines() if line.strip()).strip()}")
        for walker in [one for one in walkers if one.kind == "md"][:1]:
            number = walker.start.numbers[0]
            crystal = bulk(chemical_symbols[number], "fcc", a=8**0.5 * covalent_radii[number], cubic=True)
            try:
                list(self(crystal, replace(walker, start=crystal, steps=0)))
            except (RuntimeError, OSError, ValueError) as error:
                raise ExplainedError(
                    "potential_unusable", f"{self.program!r} cannot use the potential: {error}"
                ) from error

    def __call__(self, atoms: Atoms, walker: Walker) -> Iterator[int]:
        """Run dynamics; yield the number of steps done at the start, and then wherever the grade was looked at.

        :raises ExplainedError: of the kind `out_of_time`, at the deadline.
        :raises RuntimeError: if LAMMPS ends by an error or too early, after what it did before.
        """
        _turn(atoms)
        yield 0
        _FOLDER.mkdir(exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f"{walker.number:06d}_", dir=_FOLDER))
        try:
            failed = self._run(folder, atoms, walker)
            done, grade = -1, 0.0
            for number, frame in enumerate(_frames(folder, _species(atoms))):
                done, grade = number * LOOK_EVERY, float(frame.arrays["f_grade"].max())
                if number:
                    _take(atoms, frame)
                    yield done
            if failed:
                raise RuntimeError(failed)
            # A grade that is not finite is no reason to stop for LAMMPS, and one for whoever looks at the frame.
            if done < _steps(walker) and not grade >= self.limits.stop_grade:
                raise RuntimeError(f"LAMMPS ended after {max(0, done)} of {_steps(walker)} steps, and told of no error")
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _run(self, folder: Path, atoms: Atoms, walker: Walker) -> str | None:
        """Run LAMMPS in a folder; return what it says of an error."""
        (folder / _POTENTIAL).symlink_to(self.potential.resolve())
        (folder / _ACTIVE_SET).symlink_to(self.active_set.resolve())
        boxed = atoms.copy()
        if not boxed.pbc.all():
            boxed.center(vacuum=1.0)
        write(folder / _START, boxed, format="lammps-data", specorder=_species(atoms), masses=True)
        (folder / _INPUT).write_text(script(atoms, walker, self.limits))
        left = max(0.0, self.deadline.at - time.monotonic())
        process = subprocess.Popen(
            [self.program, "-in", _INPUT, "-log", _LOG, "-screen", "none"],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            # What a wrapper started ends with it.
            start_new_session=True,
            preexec_fn=_end_with_parent,
        )
        try:
            status = process.wait(None if math.isinf(left) else left)
        except subprocess.TimeoutExpired as error:
            raise self.deadline.error(str(walker)) from error
        finally:
            with contextlib.suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if status == 0:
            return None
        if -status in (signal.SIGTERM, signal.SIGINT):
            # The job is being ended, and the walker has not come to its end.
            raise self.deadline.error(str(walker))
        lines = (folder / _LOG).read_text(errors="replace").splitlines() if (folder / _LOG).exists() else []
        errors = [line for line in lines if line.startswith("ERROR")]
        return f"LAMMPS ended with status {status}: {(errors or lines or ['it wrote no log'])[-1]}"


def _end_with_parent() -> None:
    """Let Linux end this process when the one that started it ends, however that does."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _steps(walker: Walker) -> int:
    """Return how many steps are done: the last one is looked at."""
    return -(-walker.steps // LOOK_EVERY) * LOOK_EVERY


def script(atoms: Atoms, walker: Walker, limits: Limits) -> str:
    """Return the input of LAMMPS for a walker."""
    assert walker.temperature is not None
    seed = 1 + walker.seed % 900_000_000
    heat = f"{walker.temperature} {walker.temperature}"
    pressure = None if walker.pressure is None else f"{walker.pressure * _BAR} {walker.pressure * _BAR}"
    motion = "nve" if pressure is None else f"nph iso {pressure} {_BAROSTAT_TIME}"
    # An atom alone has none once its centre of mass rests.
    velocity = f"velocity all create {walker.temperature} {seed} mom yes rot no" if len(atoms) > 1 else ""
    return f"""\
units metal
boundary {"p p p" if atoms.pbc.all() else "s s s"}
box tilt large
read_data {_START}
pair_style {PAIR_STYLE}
pair_coeff * * {_POTENTIAL} {_ACTIVE_SET} {" ".join(_species(atoms))}
neigh_modify every 1 delay 0 check yes
timestep {walker.timestep / 1000}
{velocity}
fix move all {motion}
fix heat all langevin {heat} {_DAMPING} {seed}
fix grade all pair {LOOK_EVERY} {PAIR_STYLE} gamma 1
compute largest all reduce max f_grade
variable largest equal c_largest
fix stop all halt {LOOK_EVERY} v_largest >= {limits.stop_grade} error soft message no
dump frames all custom {LOOK_EVERY} {_FRAMES} id type xu yu zu vx vy vz f_grade
dump_modify frames sort id format float %.16g
thermo {_steps(walker)}
run {_steps(walker)}
"""


def _frames(folder: Path, species: list[str]) -> Iterator[Atoms]:
    """Yield what LAMMPS wrote, from the start on, up to a frame that is not whole."""
    with contextlib.suppress(FileNotFoundError), (folder / _FRAMES).open() as file:
        frames = iread_lammps_dump_text(file, index=slice(None), specorder=species)
        while True:
            try:
                frame = next(frames)
            except (StopIteration, ValueError, IndexError, KeyError):
                return
            yield frame


def _species(atoms: Atoms) -> list[str]:
    return sorted(set(atoms.symbols))


def _turn(atoms: Atoms) -> None:
    """Turn a cell as LAMMPS wants it: the first vector along x, the second in the plane of x and y."""
    if atoms.pbc.all():
        atoms.set_cell(atoms.cell.standard_form()[0], scale_atoms=True)


def _take(atoms: Atoms, frame: Atoms) -> None:
    """Let a structure become a frame of LAMMPS's."""
    if atoms.pbc.all():
        atoms.set_cell(frame.cell)
    atoms.set_positions(frame.positions)
    atoms.set_velocities(frame.get_velocities())
