"""Outputs of FHI-aims, every step whose electronic steps have converged."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ase import Atoms
from ase.io import ParseError
from ase.io.aims import get_aims_out_chunks, get_header_chunk

from .frames import RawFrame, SkippedStep, raw_frame, split_runs, whole_lines

START = "FHI-aims"
_CONVERGED = "Self-consistency cycle converged."
_STARTED = ("Begin self-consistency iteration", "Convergence:    q app.")
_STOPPED = "stopped before its electronic steps had converged"
_NOT_CONVERGED = (
    "Self-consistency cycle not yet converged",
    "self-consistency cycle not converged",
    "SELF-CONSISTENCY CYCLE DID NOT CONVERGE",
    "SCF cycle not converged",
)
_STRUCTURES = (
    "Atomic structure (and velocities) as used in the preceding time step",
    "Updated atomic structure",
    "Atomic structure that was used in the preceding time step of the wrapper",
)
"""Titles of the structure of a step; in molecular dynamics it comes after the labels."""
_STRUCTURE_END = "Next atomic structure:|Writing the current geometry to file"

_FINAL_ENERGY = re.compile(r"\| Electronic free energy\s*:\s*(\S+) eV")
"""Line of a complete step; within the electronic steps the line gives Hartree first."""


def read_aims(path: Path) -> Iterator[RawFrame | SkippedStep]:
    """Yield the steps of an output of FHI-aims."""
    for run in split_runs(whole_lines(path), lambda line: "Invoking FHI-aims" in line):
        yield from _read_run(run)


def _read_run(run: Iterator[str]) -> Iterator[RawFrame | SkippedStep]:
    # ASE does not know the title of the last step of molecular dynamics, and would give it the first structure.
    lines = (line.replace("Final atomic structure (and", "Atomic structure (and") for line in run)
    try:
        header = get_header_chunk(lines)
    except ParseError:
        yield SkippedStep(_STOPPED)
        return
    for number, chunk in enumerate(get_aims_out_chunks(lines, header)):
        text = "\n".join(chunk.lines)
        if not any(mark in text for mark in (_CONVERGED, *_STARTED, *_NOT_CONVERGED, "| Electronic free energy")):
            # After the last step of a relaxation only a summary follows.
            continue
        reason = _fault(text, header.n_atoms, is_first=number == 0)
        if reason is not None:
            yield SkippedStep(reason)
            continue
        atoms = _periodic(chunk.atoms, header.initial_cell)
        # ASE takes the last line of that name, whatever its unit.
        atoms.calc.results["energy"] = atoms.calc.results["free_energy"] = float(_FINAL_ENERGY.findall(text)[-1])
        yield raw_frame(atoms)


def _periodic(atoms: Atoms, cell: list[list[float]] | None) -> Atoms:
    """Return the structure of a step with its cell, which molecular dynamics at constant volume prints only at first."""
    if cell is not None and not atoms.cell.any():
        atoms.set_cell(cell)
        atoms.set_pbc(True)
    return atoms


def _fault(text: str, n_atoms: int, is_first: bool) -> str | None:
    # A cycle that does not converge may be restarted within a step; the last message counts.
    unconverged = max(text.rfind(mark) for mark in _NOT_CONVERGED)
    if text.rfind(_CONVERGED) <= unconverged or _CONVERGED not in text:
        if unconverged >= 0:
            return "not converged within the electronic steps allowed (sc_iter_limit)"
        return _STOPPED
    if not _FINAL_ENERGY.search(text):
        return "cut off before the end of the step"
    if "Total atomic forces" not in text:
        return "without forces"
    forces = text.rpartition("Total atomic forces")[2].splitlines()[1 : 1 + n_atoms]
    if len([line for line in forces if len(line.split()) == 5]) < n_atoms or not _has_structure(
        text, n_atoms, is_first
    ):
        return "cut off before the end of the step"
    return None


def _has_structure(text: str, n_atoms: int, is_first: bool) -> bool:
    title = max(_STRUCTURES, key=text.rfind)
    if title not in text:
        # ASE takes the structure of the input instead: right only for the first step.
        return is_first
    structure = re.split(_STRUCTURE_END, text.rpartition(title)[2], maxsplit=1)[0].splitlines()
    atoms, velocities = (len([line for line in structure if line.startswith(word)]) for word in ("atom ", "velocity "))
    return atoms == n_atoms and velocities in (0, n_atoms)
