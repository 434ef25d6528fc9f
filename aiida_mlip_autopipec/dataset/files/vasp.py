"""Outputs of VASP, every ionic step whose electronic steps have converged.

A step counts as not converged if it used all allowed electronic steps (NELM), even if the last one reached EDIFF,
because vasprun.xml does not say whether it converged.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io.vasp_parsers.vasp_outcar_parsers import (
    Cell,
    Energy,
    IonsPerSpecies,
    OUTCARChunk,
    OutcarChunkParser,
    OutcarHeaderParser,
    PositionsAndForces,
    SpeciesTypes,
    Stress,
)
from ase.stress import full_3x3_to_voigt_6_stress
from ase.units import GPa

from .frames import RawFrame, SkippedStep, raw_frame, split_runs

_KBAR = 0.1 * GPa
_DEFAULT_NELM = 60
"""Maximum number of electronic steps, if the file names none."""

_CUT_OFF = SkippedStep("cut off before the end of the step")
_STOPPED = SkippedStep("stopped before its electronic steps had converged")
_MACHINE_LEARNED = SkippedStep("without an electronic step, so not calculated by DFT (a machine-learned force field?)")
_RUN = re.compile(r"\s*vasp\.\d")
"""First line of a run in an OUTCAR."""
_REACHED, _END = "aborting loop because EDIFF is reached", "FREE ENERGIE OF THE ION-ELECTRON SYSTEM"
# Codes of expat: no element found, unclosed token, unclosed CDATA section.
_TRUNCATED = (3, 5, 20)


def read_vasprun(path: Path) -> Iterator[RawFrame | SkippedStep]:
    """Yield the ionic steps of a vasprun.xml.

    :raises ValueError: if it is not a vasprun.xml, or damaged.
    """
    symbols: list[str] = []
    settings: dict[str, float] = {}
    steps, open_step = 0, False
    try:
        for event, element in ElementTree.iterparse(path, events=("start", "end")):
            if event == "start":
                open_step = open_step or element.tag == "calculation"
            elif element.tag in ("incar", "parameters"):
                settings.update(_settings(element))
            elif element.tag == "atominfo":
                symbols = [(row[0].text or "").strip() for row in element.findall("array[@name='atoms']/set/rc")]
            elif element.tag == "calculation":
                open_step = False
                steps += 1
                yield _vasprun_step(element, symbols, settings)
                element.clear()
    except ElementTree.ParseError as error:
        if error.code not in _TRUNCATED or not symbols:
            raise ValueError(f"is not a complete XML file: {error}") from error
        if open_step or steps == 0:
            yield _CUT_OFF
    if not symbols:
        raise ValueError("is XML, but not a vasprun.xml of VASP")


def read_outcar(path: Path) -> Iterator[RawFrame | SkippedStep]:
    """Yield the ionic steps of an OUTCAR."""
    with path.open(encoding="utf-8", errors="replace") as file:
        for lines in split_runs(file, _RUN.match):
            yield from _outcar_run(lines)


def _settings(element: ElementTree.Element) -> dict[str, float]:
    found: dict[str, float] = {}
    for entry in element.iter("i"):
        name = (entry.get("name") or "").upper()
        if name in ("NELM", "PSTRESS"):
            # The response functions have another NELM, often 1, after that of the electronic steps.
            found.setdefault(name, float(entry.text or "nan"))
    return found


def _vasprun_step(
    step: ElementTree.Element, symbols: list[str], settings: Mapping[str, float]
) -> RawFrame | SkippedStep:
    electronic = len(step.findall("scstep"))
    allowed = int(settings.get("NELM", _DEFAULT_NELM))
    if electronic == 0:
        return _MACHINE_LEARNED
    if electronic >= allowed:
        return SkippedStep(f"not converged within NELM = {allowed} electronic steps")
    # What stands before the electronic steps is no result of them.
    last = max(number for number, child in enumerate(step) if child.tag == "scstep")
    for child in list(step)[: last + 1]:
        step.remove(child)
    basis, positions = (
        _rows(step, "structure/crystal/varray[@name='basis']"),
        _rows(step, "structure/varray[@name='positions']"),
    )
    energy, forces = step.find("energy/i[@name='e_fr_energy']"), _rows(step, "varray[@name='forces']")
    if energy is None or basis is None or positions is None:
        return _CUT_OFF
    if forces is None:
        return SkippedStep("without forces")
    cell = np.array(basis)
    atoms = Atoms(symbols, cell=cell, scaled_positions=positions, pbc=True)
    # The last energy of a step includes the work of an external pressure.
    pressure_volume = settings.get("PSTRESS", 0.0) * _KBAR * float(np.linalg.det(cell))
    labels = {"energy": float(energy.text or "nan") - pressure_volume, "forces": np.array(forces)}
    stress = _rows(step, "varray[@name='stress']")
    if stress is not None:
        labels["stress"] = full_3x3_to_voigt_6_stress(-_KBAR * np.array(stress))
    atoms.calc = SinglePointCalculator(atoms, **labels)
    return raw_frame(atoms)


def _rows(step: ElementTree.Element, path: str) -> list[list[float]] | None:
    array = step.find(path)
    return None if array is None else [[float(number) for number in (row.text or "").split()] for row in array]


def _outcar_run(lines: Iterator[str]) -> Iterator[RawFrame | SkippedStep]:
    start: list[str] = []
    for line in lines:
        start.append(line)
        if "Iteration" in line:
            break
    else:
        machine_learned = sum(_END in line for line in start)
        yield from [_MACHINE_LEARNED] * machine_learned or [_STOPPED]
        return
    allowed = _nelm_of_outcar(start)
    # Without a directory: a CONTCAR beside the file may belong to another run.
    header = OutcarHeaderParser(parsers=[SpeciesTypes(), IonsPerSpecies()]).build(start)
    parser = OutcarChunkParser(parsers=[Cell(), PositionsAndForces(), Stress(), Energy()])
    step = start[-1:]
    for line in lines:
        step.append(line)
        if _END in line:
            step += itertools.islice(lines, 4)
            yield _outcar_step(step, line, allowed, header, parser)
            step = []
    if any("- Iteration" in line for line in step):
        yield _CUT_OFF


def _nelm_of_outcar(start: list[str]) -> int:
    matches = (re.search(r"\bNELM\s*=\s*(\d{1,9})\b", line) for line in start)
    return next((int(match[1]) for match in matches if match), _DEFAULT_NELM)


def _outcar_fault(text: str, allowed: int) -> str | None:
    if "EDIFF was not reached" in text:
        return f"not converged within NELM = {allowed} electronic steps"
    if _REACHED in text:
        return None
    electronic = max((int(number) for number in re.findall(r"Iteration\s+\d+\(\s*(\d+)\)", text)), default=1)
    if electronic >= allowed:
        return f"not converged within NELM = {allowed} electronic steps"
    return _STOPPED.reason


def _outcar_step(
    lines: list[str], end: str, allowed: int, header: dict[str, Any], parser: OutcarChunkParser
) -> RawFrame | SkippedStep:
    if end.strip().startswith("ML"):
        return _MACHINE_LEARNED
    reason = _outcar_fault("".join(lines), allowed)
    if reason is not None:
        return SkippedStep(reason)
    # What stands before the end of the electronic steps is no result of them.
    results = lines[max(number for number, line in enumerate(lines) if _REACHED in line) :]
    if not any("TOTAL-FORCE" in line for line in results):
        return SkippedStep("without forces")
    if not any("direct lattice vectors" in line for line in results):
        return SkippedStep("without a printed cell")
    if not re.search(r"energy\(sigma->0\) =\s+\S+", results[-1]):
        return _CUT_OFF
    return raw_frame(OUTCARChunk(results, header, parser).build())
