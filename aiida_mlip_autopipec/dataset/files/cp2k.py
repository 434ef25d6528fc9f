"""Outputs of CP2K (Quickstep), every step whose electronic steps have converged and whose coordinates are printed.

ASE does not read them. The formats are those of CP2K 5 to 2025: forces and stress in the tables of ``&PRINT &FORCES
ON`` and ``&STRESS_TENSOR ON``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.data import atomic_numbers
from ase.geometry import cellpar_to_cell
from ase.stress import full_3x3_to_voigt_6_stress
from ase.units import Bohr, GPa, Hartree

from .frames import RawFrame, SkippedStep, raw_frame, whole_lines

START = "CP2K|"
_ROUNDED = 2e-3
"""Largest difference (Å) of a component of the cell from its three printed digits."""
_NUMBER = r"[-+]?\d+\.\d*(?:[EeDd][-+]?\d+)?"
_VECTOR = re.compile(
    rf"CELL\|\s+Vector ([abc]) \[angstrom\]:\s+({_NUMBER})\s+({_NUMBER})\s+({_NUMBER})"
    rf"(?:\s+\|[abc]\|\s*=\s*({_NUMBER}))?"
)
_ANGLE = re.compile(rf"CELL\|\s+Angle \(.,.\), (alpha|beta|gamma)\s+\[degree\]:\s+({_NUMBER})")
_PERIODIC = re.compile(r"(CELL|POISSON)\|\s+Periodicity\s+(\S+)")
_ATOM = re.compile(rf"\s*\d+\s+\d+\s+([A-Z][a-z]?)\s+(\d+)\s+({_NUMBER})\s+({_NUMBER})\s+({_NUMBER})\s")
_ENERGY = re.compile(rf"ENERGY\| Total FORCE_EVAL .*?energy\s*(?:\[[^\]]*\])?:?\s+({_NUMBER})\s*$")
_FORCE = re.compile(rf"\s*\d+\s+\d+\s+[A-Z][a-z]?\S*\s+({_NUMBER})\s+({_NUMBER})\s+({_NUMBER})\s*$")
_NEW_FORCE = re.compile(rf"\s*FORCES\|\s+\d+\s+({_NUMBER})\s+({_NUMBER})\s+({_NUMBER})(?:\s+{_NUMBER})?\s*$")
_STRESS_TITLE = re.compile(
    r"\s*(?:STRESS\|\s*)?(?:(?:analytical|numerical)\s+)?stress tensor \[(GPa|bar)\]\s*$", re.IGNORECASE
)
"""Title of the tensor itself; that of the table of its eigenvectors contains it."""
_STRESS = re.compile(rf"\s*(?:STRESS\|)?\s*([xyzXYZ])\s+({_NUMBER})\s+({_NUMBER})\s+({_NUMBER})\s*$")
_DISPLACED = re.compile(r"\*{4,} NUMERICAL STRESS (END )?\*{4,}")
"""Line before and after the electronic steps of strained structures."""


class _Cell:
    """The cell printed last."""

    def __init__(self) -> None:
        self.vectors: dict[str, list[float]] = {}
        self.lengths: dict[str, float] = {}
        self.angles: dict[str, float] = {}
        self.periodic: dict[str, str] = {}

    def read(self, line: str) -> None:
        if match := _VECTOR.search(line):
            self.vectors[match[1]] = [float(match[number]) for number in (2, 3, 4)]
            if match[5] is not None:
                self.lengths[match[1]] = float(match[5])
        elif match := _ANGLE.search(line):
            self.angles[match[1]] = float(match[2])
        elif match := _PERIODIC.search(line):
            self.periodic[match[1]] = match[2].upper()

    def array(self) -> np.ndarray | None:
        """Return the cell: its shape by its lengths and angles, which have more digits than its vectors."""
        if len(self.vectors) < 3:
            return None
        printed = np.array([self.vectors[axis] for axis in "abc"])
        if len(self.lengths) < 3 or len(self.angles) < 3:
            return printed
        angles = [self.angles[name] for name in ("alpha", "beta", "gamma")]
        cell = cellpar_to_cell([*(self.lengths[axis] for axis in "abc"), *angles])
        if np.abs(cell - printed).max() > _ROUNDED:
            left, _, right = np.linalg.svd(cell.T @ printed)
            cell = cell @ left @ right
        return cell if np.abs(cell - printed).max() <= _ROUNDED else printed

    def pbc(self) -> list[bool]:
        # In old versions only the Poisson solver names the periodicity.
        periodic = self.periodic.get("CELL", self.periodic.get("POISSON", "XYZ"))
        return [axis in periodic for axis in "XYZ"]


class _Step:
    """Values of one step of the output."""

    def __init__(self) -> None:
        self.converged: bool | None = None
        self.electronic_steps = 0
        self.energy: float | None = None
        self.cell: np.ndarray | None = None
        self.pbc = [True, True, True]
        self.forces: list[list[float]] = []
        self.stress: list[list[float]] = []
        self.stress_unit = GPa
        self.error: str | None = None
        self.started = False


class _Reader:
    def __init__(self) -> None:
        self.cell = _Cell()
        self.displaced = False
        self.symbols: list[str] = []
        self.positions: list[list[float]] = []
        self.step = _Step()
        self.table = ""

    def read(self, line: str) -> RawFrame | SkippedStep | None:
        """Parse a line; return the previous step if the line begins a new one."""
        if match := _DISPLACED.search(line):
            self.displaced = match[1] is None
        if self.displaced:
            # Of the strained structures only a failure is read, since the stress of the step then cannot be used.
            self._failure(line)
            return None
        finished = None
        coordinates = "MODULE QUICKSTEP" in line and "ATOMIC COORDINATES" in line
        energy = _ENERGY.search(line)
        if "SCF WAVEFUNCTION OPTIMIZATION" in line or coordinates or (energy and self.step.energy is not None):
            if self.step.energy is not None or self.step.converged is False:
                finished = self.finish()
            if coordinates:
                self.symbols, self.positions, self.table = [], [], "atoms"
            else:
                self.step.started = True
        if "SCF run converged in" in line:
            self.step.converged = True
        elif energy:
            self.step.energy = _number(energy[1]) * Hartree
            # A changed cell is printed before the electronic steps of the next step begin.
            self.step.cell, self.step.pbc = self.cell.array(), self.cell.pbc()
        self._failure(line)
        self.cell.read(line)
        self._table(line)
        return finished

    def _failure(self, line: str) -> None:
        if "SCF run NOT converged" in line or "Maximum number of SCF iterations reached" in line:
            self.step.converged = False
        elif match := re.search(r"Leaving inner SCF loop after reaching\s+(\d+)", line):
            self.step.electronic_steps = int(match[1])
        elif "[ABORT]" in line or line.strip().startswith("*** ERROR"):
            self.step.error = "an error of CP2K"

    def _table(self, line: str) -> None:
        if "ATOMIC FORCES in [a.u.]" in line or "FORCES| Atomic forces [hartree/bohr]" in line:
            self.step.forces, self.table = [], "forces"
        elif match := _STRESS_TITLE.match(line):
            self.step.stress, self.table = [], "stress"
            self.step.stress_unit = GPa if match[1].lower() == "gpa" else 1e-4 * GPa
        elif self.table == "atoms":
            if match := _ATOM.match(line):
                label, number = match[1], int(match[2])
                self.symbols.append(label if atomic_numbers.get(label) == number else str(number))
                self.positions.append([float(match[index]) for index in (3, 4, 5)])
        elif self.table == "forces":
            if match := _FORCE.match(line) or _NEW_FORCE.match(line):
                self.step.forces.append([_number(match[index]) for index in (1, 2, 3)])
            elif "SUM OF ATOMIC FORCES" in line.upper() or "FORCES| Sum" in line:
                self.table = ""
        elif self.table == "stress" and (match := _STRESS.match(line)):
            self.step.stress.append([_number(match[index]) for index in (2, 3, 4)])
            if len(self.step.stress) == 3:
                self.table = ""

    def is_open(self) -> bool:
        """Whether a step has begun and is not finished."""
        return self.step.started or self.step.error is not None or self.step.energy is not None

    def finish(self) -> RawFrame | SkippedStep:
        step, self.step, self.table = self.step, _Step(), ""
        symbols, positions = self.symbols, self.positions
        # CP2K prints the coordinates of later steps only on request; those of an earlier step must not be reused.
        self.symbols, self.positions = [], []
        reason = self._fault(step, symbols)
        if reason is not None:
            return SkippedStep(reason)
        numbers = [int(symbol) if symbol.isdigit() else atomic_numbers[symbol] for symbol in symbols]
        atoms = Atoms(numbers, positions=positions, cell=step.cell, pbc=step.pbc)
        labels = {"energy": step.energy, "forces": np.array(step.forces) * Hartree / Bohr}
        if len(step.stress) == 3:
            # CP2K's sign is the opposite of ASE's.
            labels["stress"] = full_3x3_to_voigt_6_stress(-np.array(step.stress) * step.stress_unit)
        atoms.calc = SinglePointCalculator(atoms, **labels)
        return raw_frame(atoms)

    def _fault(self, step: _Step, symbols: list[str]) -> str | None:
        if step.converged is False:
            within = f" after {step.electronic_steps} electronic steps" if step.electronic_steps else ""
            return f"not converged{within}"
        if step.error is not None:
            return f"ended by {step.error}"
        if step.converged is None or step.energy is None:
            return "stopped before its electronic steps had converged"
        if not symbols:
            return "without printed coordinates (by default CP2K prints only those of the first step)"
        if step.cell is None:
            return "without a printed cell (FORCE_EVAL / SUBSYS / PRINT / CELL)"
        if not step.forces:
            return "without forces (FORCE_EVAL / PRINT / FORCES)"
        if len(step.forces) != len(symbols):
            return "cut off before the end of the step"
        return None


def read_cp2k(path: Path) -> Iterator[RawFrame | SkippedStep]:
    """Yield the steps of an output of CP2K."""
    reader = _Reader()
    for line in whole_lines(path):
        if "PROGRAM STARTED AT" in line:
            # Another run may be appended; it prints its cell before its first step.
            if reader.is_open():
                yield reader.finish()
            reader = _Reader()
        finished = reader.read(line)
        if finished is not None:
            yield finished
    if reader.is_open():
        yield reader.finish()


def _number(text: str) -> float:
    return float(text.upper().replace("D", "E"))
