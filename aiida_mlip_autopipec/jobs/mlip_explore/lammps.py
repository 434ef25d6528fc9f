"""Molecular dynamics by LAMMPS instead of ASE; LAMMPS itself checks the extrapolation grade."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ase import Atoms
from ase.build import bulk
from ase.data import chemical_symbols, covalent_radii
from ase.io import write
from ase.io.lammpsrun import iread_lammps_dump_text
from mlip_common.deadline import Deadline
from mlip_common.errors import ProgramError, log

from .sampler import Limits, Sampler

PAIR_STYLE = "pace/extrapolation"

GRADE_INTERVAL = 10
"""Steps between two computations of the grade, which make a step several times as expensive."""

_SECONDS_TO_ANSWER = 60.0
"""Maximum time (s) in which LAMMPS must list its styles."""

_DAMPING, _BAROSTAT_TIME = 0.05, 0.5
"""Damping times (ps) of the Langevin thermostat and of the barostat."""

_BAR_PER_GPA = 1e4

_PR_SET_PDEATHSIG = 1
"""From prctl.h of Linux."""

_FOLDER = Path("lammps")
_INPUT, _START, _FRAMES, _LOG = "in.lammps", "start.data", "frames.dump", "log.lammps"
_POTENTIAL, _ACTIVE_SET = "potential.yaml", "potential.asi"


@dataclass(frozen=True)
class LammpsProgram:
    """The name of LAMMPS, and the user's commands of the dynamics, if any."""

    name: str
    commands: str | None = None


@dataclass(frozen=True)
class Lammps:
    """Molecular dynamics of a sampler by LAMMPS, up to `stop_grade`.

    :param program: LAMMPS with the package ML-PACE; it runs as one process per sampler.
    :param potential: `.yaml` file of the potential.
    :param active_set: its `.asi` file.
    :param commands: commands of the dynamics in place of the thermostat and barostat of this module.
    """

    program: str
    potential: Path
    active_set: Path
    limits: Limits
    deadline: Deadline
    commands: str | None = None

    @classmethod
    def find(
        cls,
        name: str,
        potential: Path,
        active_set: Path,
        limits: Limits,
        deadline: Deadline,
        commands: str | None = None,
    ) -> Lammps:
        """Find the program by its name on the PATH, or a path relative to the working or home folder.

        :raises ProgramError: of the kind `not_installed`.
        """
        found = shutil.which(str(Path(name).expanduser()) if name.startswith("~") else name)
        if found is None:
            raise ProgramError("not_installed", f"LAMMPS cannot be run as {name!r}: program not found")
        return cls(str(Path(found).absolute()), potential, active_set, limits, deadline, commands)

    def check(self, samplers: Sequence[Sampler]) -> None:
        """Check that LAMMPS has the pair style, and test it with the potential on a small crystal.

        :raises ProgramError: of the kind `not_installed` or `potential_unusable`, or `bad_input` if LAMMPS rejects the user's
            commands.
        """
        try:
            output = subprocess.run(
                [self.program, "-help"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                timeout=_SECONDS_TO_ANSWER,
            ).stdout
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ProgramError("not_installed", f"LAMMPS cannot be run as {self.program!r}: {error}") from error
        if PAIR_STYLE not in output.split():
            raise ProgramError(
                "not_installed",
                f"{self.program!r} has no pair_style {PAIR_STYLE}: build LAMMPS with the package ML-PACE, or remove "
                "exploration.lammps for molecular dynamics by ASE",
            )
        log(f"molecular dynamics by {next(line for line in output.splitlines() if line.strip()).strip()}")
        for sampler in [sampler for sampler in samplers if sampler.kind == "md"][:1]:
            number = sampler.start.numbers[0]
            crystal = bulk(chemical_symbols[number], "fcc", a=8**0.5 * covalent_radii[number], cubic=True)
            trial = replace(sampler, start=crystal, steps=0)
            try:
                list(replace(self, commands=None)(crystal.copy(), trial))
            except (RuntimeError, OSError, ValueError) as error:
                raise ProgramError(
                    "potential_unusable", f"{self.program!r} cannot use the potential: {error}"
                ) from error
            if self.commands is not None:
                self._check_commands(crystal, trial)

    def _check_commands(self, crystal: Atoms, trial: Sampler) -> None:
        try:
            list(self(crystal, trial))
        except (RuntimeError, OSError, ValueError) as error:
            raise ProgramError(
                "bad_input", f"exploration.lammps_input: {self.program!r} rejects these commands: {error}"
            ) from error

    def __call__(self, atoms: Atoms, sampler: Sampler) -> Iterator[int]:
        """Run dynamics; yield the number of finished steps at the start and wherever the grade was computed.

        :raises ProgramError: of the kind `out_of_time`, at the deadline.
        :raises RuntimeError: if LAMMPS fails or stops too early, after the steps before that were yielded.
        """
        _to_standard_form(atoms)
        yield 0
        _FOLDER.mkdir(exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f"{sampler.number:06d}_", dir=_FOLDER))
        try:
            failed = self._run(folder, atoms, sampler)
            done, grade = -1, 0.0
            for number, frame in enumerate(_frames(folder, _species(atoms))):
                done, grade = number * GRADE_INTERVAL, float(frame.arrays["f_grade"].max())
                if number:
                    _copy_frame(atoms, frame)
                    yield done
            if failed:
                raise RuntimeError(failed)
            # A grade that is not finite does not stop LAMMPS; the check of the frame stops the sampler.
            if done < _steps(sampler) and not grade >= self.limits.stop_grade:
                raise RuntimeError(f"LAMMPS ended after {max(0, done)} of {_steps(sampler)} steps without an error")
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _run(self, folder: Path, atoms: Atoms, sampler: Sampler) -> str | None:
        """Run LAMMPS in a folder; return its error message, or None."""
        (folder / _POTENTIAL).symlink_to(self.potential.resolve())
        (folder / _ACTIVE_SET).symlink_to(self.active_set.resolve())
        boxed = atoms.copy()
        if not boxed.pbc.all():
            boxed.center(vacuum=1.0)
        write(folder / _START, boxed, format="lammps-data", specorder=_species(atoms), masses=True)
        (folder / _INPUT).write_text(lammps_input(atoms, sampler, self.limits, self.commands))
        process = subprocess.Popen(
            [self.program, "-in", _INPUT, "-log", _LOG, "-screen", "none"],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            # In a session of its own, so that processes started by a wrapper are killed too.
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )
        try:
            status = process.wait(self.deadline.limit())
        except subprocess.TimeoutExpired as error:
            raise self.deadline.error(str(sampler)) from error
        finally:
            with contextlib.suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if status == 0:
            return None
        if -status in (signal.SIGTERM, signal.SIGINT):
            # The job is being stopped; the sampler is unfinished.
            raise self.deadline.error(str(sampler))
        lines = (folder / _LOG).read_text(errors="replace").splitlines() if (folder / _LOG).exists() else []
        errors = [line for line in lines if line.startswith("ERROR")]
        return f"LAMMPS ended with status {status}: {(errors or lines or ['it wrote no log'])[-1]}"


def _die_with_parent() -> None:
    """Make Linux kill this process when its parent ends, for any reason."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _steps(sampler: Sampler) -> int:
    """Return the number of steps, rounded up to a step with a computed grade."""
    return -(-sampler.steps // GRADE_INTERVAL) * GRADE_INTERVAL


def lammps_input(atoms: Atoms, sampler: Sampler, limits: Limits, commands: str | None = None) -> str:
    """Return the LAMMPS input of a sampler.

    :param commands: the user's commands of the dynamics; they find the settings of the sampler in variables.
    """
    assert sampler.temperature is not None
    seed = 1 + sampler.seed % 900_000_000
    dynamics = _dynamics(atoms, sampler, seed) if commands is None else _variables(sampler, seed) + commands.rstrip()
    return f"""\
units metal
boundary {"p p p" if atoms.pbc.all() else "s s s"}
box tilt large
read_data {_START}
pair_style {PAIR_STYLE}
pair_coeff * * {_POTENTIAL} {_ACTIVE_SET} {" ".join(_species(atoms))}
neigh_modify every 1 delay 0 check yes
timestep {sampler.timestep / 1000}
{dynamics}
fix grade all pair {GRADE_INTERVAL} {PAIR_STYLE} gamma 1
compute largest all reduce max f_grade
variable largest equal c_largest
fix stop all halt {GRADE_INTERVAL} v_largest >= {limits.stop_grade} error soft message no
dump frames all custom {GRADE_INTERVAL} {_FRAMES} id type xu yu zu vx vy vz f_grade
dump_modify frames sort id format float %.16g
thermo {_steps(sampler)}
run {_steps(sampler)}
"""


def _variables(sampler: Sampler, seed: int) -> str:
    values = {
        "temperature": sampler.temperature,
        "pressure": 0.0 if sampler.pressure is None else sampler.pressure * _BAR_PER_GPA,
        "timestep": sampler.timestep / 1000,
        "steps": _steps(sampler),
        "seed": seed,
        "ensemble": "nvt" if sampler.pressure is None else "npt",
    }
    return "".join(f"variable {name} index {value}\n" for name, value in values.items())


def _dynamics(atoms: Atoms, sampler: Sampler, seed: int) -> str:
    heat = f"{sampler.temperature} {sampler.temperature}"
    pressure = (
        None if sampler.pressure is None else f"{sampler.pressure * _BAR_PER_GPA} {sampler.pressure * _BAR_PER_GPA}"
    )
    motion = "nve" if pressure is None else f"nph iso {pressure} {_BAROSTAT_TIME}"
    # A single atom has no velocity once the momentum is removed.
    velocity = f"velocity all create {sampler.temperature} {seed} mom yes rot no" if len(atoms) > 1 else ""
    return f"{velocity}\nfix move all {motion}\nfix heat all langevin {heat} {_DAMPING} {seed}"


def _frames(folder: Path, species: list[str]) -> Iterator[Atoms]:
    """Yield the frames that LAMMPS wrote, up to an incomplete one."""
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


def _to_standard_form(atoms: Atoms) -> None:
    """Rotate a cell to the convention of LAMMPS: first vector along x, second in the xy plane."""
    if atoms.pbc.all():
        atoms.set_cell(atoms.cell.standard_form()[0], scale_atoms=True)


def _copy_frame(atoms: Atoms, frame: Atoms) -> None:
    """Set cell, positions and velocities of a structure to those of a LAMMPS frame."""
    if atoms.pbc.all():
        atoms.set_cell(frame.cell)
    atoms.set_positions(frame.positions)
    atoms.set_velocities(frame.get_velocities())
