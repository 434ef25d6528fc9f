"""Exports for other programs, from nodes of this profile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aiida import orm

from .. import __version__
from ..config.errors import UserError
from ..dataset.library import load_dataset
from ..dataset.trajectory import all_frames
from ..export.citation import Facts, citation, reference_method
from ..export.datasets import WRITERS, split_parts
from ..export.folder import new_folder
from ..export.lammps import ACTIVE_SET, LammpsFiles, write_lammps
from ..pipelines.potentials import stored_potential
from ..provenance.queries import trace
from ..provenance.teachers import OF_TEACHER

CITATION = "CITATION.txt"
_LABELLING = ("AseLabelCalculation", "collect_pw_labels")


def export_lammps(node: orm.Node, folder: Path) -> list[str]:
    """Write the folder of a potential, or of the potential of a run, for LAMMPS; return the names of its files.

    :raises UserError: if the node has no potential, or the folder exists already.
    """
    potential = stored_potential(node)
    files = LammpsFiles(
        yace=potential.file.get_content(mode="rb"),
        elements=potential.elements,
        active_set={
            name: potential.active_set[suffix].get_content(mode="rb")
            for suffix, name in zip(("yaml", "asi"), ACTIVE_SET, strict=True)
            if suffix in potential.active_set
        },
        free_atoms=(_metrics(potential.file) or {}).get("reference_energies_eV", {}),
    )
    with new_folder(folder) as temporary:
        written = write_lammps(files, temporary)
        if _metrics(potential.file) is not None:
            (temporary / CITATION).write_text(citation_of(node), encoding="utf-8")
            written.append(CITATION)
    return written


def export_dataset(identifier: str, program: str, folder: Path) -> int:
    """Write a dataset for a program, a key of :data:`~..export.datasets.WRITERS`; return the number of structures.

    :raises UserError: if there is no such dataset, or the folder exists already.
    """
    try:
        frames = all_frames(load_dataset(identifier))
    except ValueError as error:
        raise UserError(str(error)) from error
    with new_folder(folder) as temporary:
        WRITERS[program](split_parts(frames), temporary)
    return len(frames)


def citation_of(node: orm.Node) -> str:
    """Return the text on a potential, or on the potential of a run, for a methods section.

    :raises UserError: if the node has no potential, or its fit is not in this profile.
    """
    potential = stored_potential(node).file
    metrics = _metrics(potential)
    if metrics is None:
        raise UserError(
            f"node {node.pk}: the fit of this potential is not in this profile, so its provenance is unknown"
        )
    origin = trace(potential)
    return citation(
        Facts(
            potential=potential.uuid,
            metrics=metrics,
            oracle=reference_method(origin.settings, _LABELLING),
            selection=origin.settings.get("write_selection_files", {}),
            teacher=reference_method(origin.settings, [f"{label}{OF_TEACHER}" for label in _LABELLING]),
            stages={process.label: process.count for process in origin.processes},
            n_generated=origin.n_structures_generated,
            version=__version__,
        )
    )


def _metrics(potential: orm.SinglefileData) -> dict[str, Any] | None:
    fit = potential.creator
    return fit.outputs.metrics.get_dict() if fit is not None and "metrics" in fit.outputs else None
