"""Outputs of pw.x (Quantum ESPRESSO), every step whose electronic steps have converged."""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

from ase.io.espresso import read_espresso_out

from .frames import RawFrame, SkippedStep, raw_frame, whole_lines

START = "Program PWSCF"
_STRUCTURE = "ATOMIC_POSITIONS"
_CONVERGED, _NOT_CONVERGED = "convergence has been achieved in", "convergence NOT achieved"
_ENERGY, _FORCES, _STRESS = "!    total energy", "Forces acting on atoms", "total   stress"
_EXCHANGE_ENERGY = "!!   total energy"
"""Before the energy of self-consistent exact exchange; the energies before have the exchange of former orbitals."""
_EXCHANGE, _EXCHANGE_END = "EXX: now go back to refine exchange", "EXX self-consistency reached"
_INITIAL, _DISCARDED = "positions (alat units)", "from input discarded"
_ACCURACY = re.compile(r"estimated scf accuracy\s+<\s+(\d\S*) Ry")
_THRESHOLD = re.compile(r"(?:scf convergence threshold|new conv_thr)\s+=\s+(\d[^\s]*)")
_ROUNDING = 0.5e-8
"""Rounding error (Ry) of a printed accuracy."""
_NOT_READ = (
    "End of self-consistent calculation",
    "End of band structure calculation",
    "number of k points=",
    "Magnetic moment per site",
    "Debye",
    "Computed dipole along edir",
)
"""Lines that begin other data than labels, which ASE cannot always read."""


class _Step:
    """The part of an output that belongs to one structure."""

    def __init__(self, n_atoms: int, threshold: float, lines: list[str]) -> None:
        self.n_atoms, self.threshold, self.lines = n_atoms, threshold, lines
        self.text = "".join(lines)

    def is_calculated(self) -> bool:
        """Tell whether pw.x has started to compute this structure, and not only printed it."""
        return any(
            mark in self.text
            for mark in (
                "Self-consistent Calculation",
                "iteration #",
                _ENERGY,
                _NOT_CONVERGED,
                START,
                "Error in routine",
            )
        )

    def fault(self) -> str | None:
        error = re.search(r"Error in routine\s+(.*?)\s*:\s*\n\s*(.*)", self.text)
        if error:
            return f"ended by an error of pw.x in {error[1].strip()}: {error[2].strip()}"[:200]
        unconverged = re.search(r"convergence NOT achieved after\s+(\d+) iterations", self.text)
        if _NOT_CONVERGED in self.text:
            return f"not converged after {unconverged[1] if unconverged else 'all'} electronic steps"
        if _ENERGY not in self.text:
            return "stopped before its electronic steps had converged"
        if _CONVERGED not in self.text:
            return "without a message of pw.x that its electronic steps have converged"
        if self._accuracy() > 1.05 * self.threshold + _ROUNDING:
            # With scf_must_converge=.false. pw.x prints "convergence has been achieved" in any case.
            return f"not converged: the accuracy reached is worse than conv_thr = {self.threshold:.2g} Ry"
        if _EXCHANGE in self.text and _EXCHANGE_END not in self.text:
            return "stopped before its exact exchange had converged"
        if 0 <= self.text.find(_INITIAL) < self.text.find(_DISCARDED):
            # The structure printed before is that of the input.
            return "restarted with a structure that is read from a file and not printed"
        forces = self._after(_FORCES)
        if forces is None:
            return "without forces"
        if sum("force =" in line for line in forces.split("Total force")[0].splitlines()) < self.n_atoms:
            return "cut off before the end of the step"
        stress = self._after(_STRESS)
        if stress is not None and len([line for line in stress.splitlines()[1:4] if len(line.split()) == 6]) < 3:
            return "cut off before the end of the step"
        return None

    def _accuracy(self) -> float:
        """Return the estimated accuracy of the energy, in Ry; 0 if it cannot be compared, as with exact exchange."""
        match = None if "EXX" in self.text else _ACCURACY.search(self._after(_ENERGY) or "")
        return float(match[1]) if match else 0.0

    def _after(self, mark: str) -> str | None:
        _, found, after = self.text.partition(mark)
        return after if found else None


def read_pw(path: Path) -> Iterator[RawFrame | SkippedStep]:
    """Yield the steps of an output of pw.x.

    :raises ValueError: if no structure is printed.
    """
    steps = _steps(whole_lines(path))
    faults = [step.fault() for step in steps]
    text = StringIO("".join(_readable(step, fault) for step, fault in zip(steps, faults, strict=True)))
    frames = iter(read_espresso_out(text, index=slice(None))) if None in faults else iter(())
    for step, fault in zip(steps, faults, strict=True):
        if fault is None:
            yield raw_frame(next(frames))
        elif step.is_calculated():
            yield SkippedStep(fault)


def _steps(lines: list[str]) -> list[_Step]:
    starts = [number for number, line in enumerate(lines) if START in line or line.lstrip().startswith(_STRUCTURE)]
    steps, n_atoms, threshold = [], 0, float("inf")
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        part = lines[start:end]
        n_atoms = next((int(line.split()[-1]) for line in part if "number of atoms/cell" in line), n_atoms)
        # A new threshold is printed at the end of a step, for the next.
        found = [float(match[1]) for line in part if (match := _THRESHOLD.search(line))]
        threshold = found[0] if found and START in part[0] else threshold
        steps.append(_Step(n_atoms, threshold, part))
        threshold = found[-1] if found else threshold
    if not steps:
        raise ValueError(f"no '{START}' in it")
    return steps


def _readable(step: _Step, fault: str | None) -> str:
    unread = _NOT_READ if fault is None else (*_NOT_READ, _ENERGY, _EXCHANGE_ENERGY, _FORCES, _STRESS)
    lines = [line for line in step.lines if not any(mark in line for mark in unread)]
    # ASE takes the first energy of a step, but with exact exchange the last is that of the forces.
    energies = [number for number, line in enumerate(lines) if _ENERGY in line or _EXCHANGE_ENERGY in line]
    for number in energies:
        lines[number] = lines[number].replace(_EXCHANGE_ENERGY, _ENERGY) if number == energies[-1] else "\n"
    return "".join(lines)
