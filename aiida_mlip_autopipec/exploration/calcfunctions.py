"""Calcfunctions around exploration: from elements to the files of its jobs, and from saved frames to candidates."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from aiida.engine import ExitCode, calcfunction
from aiida.orm import Dict, Float, Int, List, SinglefileData, TrajectoryData
from ase import Atoms

from ..config.schemas.exploration import ExplorationConfig
from ..dataset.frame_files import frames_file, read_frames
from ..dataset.trajectory import all_frames, to_trajectories
from ..programs.catalogue import EXPLORE_STRUCTURES
from ..programs.files import json_file
from .samplers import divide_among_jobs, make_samplers

SAMPLER_FILE_PREFIX = "walkers_"
"""Prefix of the names of the sampler files; the number of the job follows."""


@calcfunction
def write_exploration_files(
    elements: List,
    settings: Dict,
    exploration_round: Int,
    select_grade: Float | None = None,
    stop_grade: Float | None = None,
    **starts: TrajectoryData,
) -> dict[str, SinglefileData] | ExitCode:
    """Write the files that `explore_structures` reads: `settings`, and the samplers of each job.

    :param settings: an :class:`ExplorationConfig` as dictionary.
    :param select_grade: overrides that of the settings, as does `stop_grade`.
    :param starts: start structures in addition to generated ones.
    :returns: `settings` and `walkers_<number of the job>`; exit status 310 if no samplers can be generated.
    """
    overrides = {"select_grade": select_grade, "stop_grade": stop_grade}
    limits = {name: node.value for name, node in overrides.items() if node is not None}
    try:
        config = ExplorationConfig.model_validate({**settings.get_dict(), **limits})
        samplers = make_samplers(elements.get_list(), config, exploration_round.value, all_frames(starts))
    except ValueError as error:
        return ExitCode(310, f"no samplers can be generated: {error}")
    names = EXPLORE_STRUCTURES.files
    files = {
        f"{SAMPLER_FILE_PREFIX}{number}": frames_file(names["walkers"], part)
        for number, part in enumerate(divide_among_jobs(samplers, config.jobs))
    }
    return {"settings": json_file(names["settings"], program_settings(config)), **files}


def program_settings(config: ExplorationConfig) -> dict[str, float | int | str | None]:
    """Return the content of `settings.json` of `explore_structures`: its limits, the path of LAMMPS, and its commands."""
    return {
        "select_grade": config.select_grade,
        "stop_grade": config.stop_grade,
        "growth": config.growth,
        "save_interval": config.save_interval,
        "min_distance_fraction": config.min_distance_fraction,
        "hottest": config.max_temperature_ratio,
        "expansion": config.max_volume_ratio,
        "lammps": config.lammps,
        "lammps_input": config.lammps_input if config.lammps_input.strip() else None,
    }


@calcfunction
def collect_candidates(**frames: SinglefileData) -> dict[str, TrajectoryData]:
    """Return the saved frames of all jobs as unlabelled trajectories by label, in the order of their samplers.

    :param frames: the files `frames.traj` of the jobs.
    :returns: an empty dictionary if no frame was saved.
    """
    found = [atoms for name in sorted(frames) for atoms in map(_with_plain_info, read_frames(frames[name]))]
    return to_trajectories(sorted(found, key=lambda atoms: atoms.info["walker"]))


def _with_plain_info(atoms: Atoms) -> Atoms:
    # AiiDA stores no numpy scalars.
    atoms.info = {name: value.item() if hasattr(value, "item") else value for name, value in atoms.info.items()}
    return atoms


@calcfunction
def report_exploration(settings: Dict, **reports: SinglefileData) -> Dict:
    """Return the report on the samplers of all jobs.

    :param settings: the :class:`ExplorationConfig` of the samplers, as dictionary.
    :param reports: the files `exploration.json` of the jobs.
    :returns: see :func:`summarize`.
    """
    found = [json.loads(reports[name].get_content(mode="r")) for name in sorted(reports)]
    total = ExplorationConfig.model_validate(settings.get_dict()).walkers.total
    return Dict(summarize(total, found))


def summarize(total: int, reports: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the merged report on all samplers.

    :param total: number of samplers.
    :returns: `walkers`, the number of samplers, and `done`, of finished ones; `complete`, whether all finished; `candidates`,
        the number of saved frames; `steps`; `time_ps` of molecular dynamics; `largest_grade`; `ended`, the number of samplers
        by stop reason; `limits`; `ways`, the report on each sampler.
    """
    # The keys are those of stored reports and do not change: a walker or way is a sampler, `ended` is its stop reason.
    samplers = sorted((item for report in reports for item in report["walkers"]), key=lambda item: item["walker"])
    stop_reasons = Counter(sampler["ended"] for sampler in samplers)
    return {
        "walkers": total,
        "done": len(samplers),
        "complete": len(samplers) == total,
        "candidates": sum(sampler["handed_in"] for sampler in samplers),
        "steps": sum(sampler["steps"] for sampler in samplers),
        "time_ps": sum(sampler["time_ps"] or 0.0 for sampler in samplers),
        "largest_grade": max((sampler["largest_grade"] for sampler in samplers), default=0.0),
        "ended": dict(stop_reasons.most_common()),
        "limits": reports[0]["limits"] if reports else {},
        "ways": samplers,
    }
