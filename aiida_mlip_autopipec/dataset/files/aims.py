"""Outputs of FHI-aims, every step whose electronic steps have converged."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ase.io.aims import get_aims_out_chunks, get_header_chunk

from .frames import RawFrame, SkippedStep, raw_frame, whole_lines

START = "FHI-aims"
_CONVERGED, _STARTED = "Self-consistency cycle converged.", "Begin self-consistency iteration"
_NOT_CONVERGED = ("Self-consistency cycle not yet converged", "self-consistency cycle not converged")

_FINAL_ENERGY = re.compile(r"\| Electronic free energy\s*:\s*\S+ eV")
"""Line of a complete step; within the electronic steps the line gives Hartree first."""


def read_aims(path: Path) -> Iterator[RawFrame | SkippedStep]:
    """Yield the steps of an output of FHI-aims."""
    lines = iter(whole_lines(path))
    header = get_header_chunk(lines)
    for chunk in get_aims_out_chunks(lines, header):
        text = "\n".join(chunk.lines)
        if not any(mark in text for mark in (_CONVERGED, _STARTED, *_NOT_CONVERGED, "| Electronic free energy")):
            # After the last step of a relaxation only a summary follows.
            continue
        reason = _fault(text, header.n_atoms)
        yield raw_frame(chunk.atoms) if reason is None else SkippedStep(reason)


def _fault(text: str, n_atoms: int) -> str | None:
    # A cycle that does not converge may be restarted within a step; the last message counts.
    unconverged = max(text.rfind(mark) for mark in _NOT_CONVERGED)
    if text.rfind(_CONVERGED) <= unconverged or _CONVERGED not in text:
        if unconverged >= 0:
            return "not converged within the electronic steps allowed (sc_iter_limit)"
        return "stopped before its electronic steps had converged"
    if not _FINAL_ENERGY.search(text):
        return "cut off before the end of the step"
    if "Total atomic forces" not in text:
        return "without forces"
    forces = text.partition("Total atomic forces")[2].splitlines()[1 : 1 + n_atoms]
    if len([line for line in forces if len(line.split()) == 5]) < n_atoms:
        return "cut off before the end of the step"
    return None
