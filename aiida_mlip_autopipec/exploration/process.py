"""The calcfunctions around exploration: from elements to the files of its jobs, from what these found to candidates."""

from __future__ import annotations

import io
import json
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aiida.engine import ExitCode, calcfunction
from aiida.orm import Dict, Float, Int, List, SinglefileData, TrajectoryData
from ase import Atoms
from ase.io.trajectory import Trajectory

from ..config.schemas.exploration import ExplorationConfig
from ..dataset.trajectory import all_frames, to_trajectories
from .walkers import divide, make_walkers

SETTINGS, WALKERS = "settings.json", "walkers.traj"
WALKERS_OF = "walkers_"
"""What the names of the files of walkers begin with; the number of the job follows."""


@calcfunction
def write_exploration_files(
    elements: List,
    settings: Dict,
    exploration_round: Int,
    select_grade: Float | None = None,
    stop_grade: Float | None = None,
    **starts: TrajectoryData,
) -> dict[str, SinglefileData] | ExitCode:
    """Write the files that `explore_structures` reads: `settings`, and the walkers of each job.

    :param settings: an :class:`ExplorationConfig` as dictionary.
    :param select_grade: takes the place of that of the settings, as does `stop_grade`.
    :param starts: structures to start from beside those that are made.
    :returns: exit status 310 if the elements or settings allow no such walkers.
    """
    given = {"select_grade": select_grade, "stop_grade": stop_grade}
    limits = {name: node.value for name, node in given.items() if node is not None}
    try:
        config = ExplorationConfig.model_validate({**settings.get_dict(), **limits})
        walkers = make_walkers(elements.get_list(), config, exploration_round.value, all_frames(starts))
    except ValueError as error:
        return ExitCode(310, f"no walkers can be made: {error}")
    files = {f"{WALKERS_OF}{number}": _file(part) for number, part in enumerate(divide(walkers, config.jobs))}
    return {
        "settings": SinglefileData(io.BytesIO(json.dumps(settings_of(config)).encode()), filename=SETTINGS),
        **files,
    }


def settings_of(config: ExplorationConfig) -> dict[str, float | str | None]:
    """Return the settings of the program: by the names of its `Limits`, and the one of LAMMPS."""
    return {
        "select_grade": config.select_grade,
        "stop_grade": config.stop_grade,
        "growth": config.growth,
        "min_distance_fraction": config.min_distance_fraction,
        "hottest": config.max_temperature_ratio,
        "expansion": config.max_volume_ratio,
        "lammps": config.lammps,
    }


def _file(walkers: Sequence[Atoms]) -> SinglefileData:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / WALKERS
        with Trajectory(str(path), "w") as frames:
            for atoms in walkers:
                frames.write(atoms)
        return SinglefileData(path)


@calcfunction
def collect_candidates(**frames: SinglefileData) -> dict[str, TrajectoryData]:
    """Return the structures that the jobs handed in, unlabelled, by label, in the order of their walkers; there may be none.

    :param frames: the files `frames.traj` of the jobs.
    """
    found = [atoms for name in sorted(frames) for atoms in _read(frames[name])]
    return to_trajectories(sorted(found, key=lambda atoms: atoms.info["walker"]))


def _read(node: SinglefileData) -> list[Atoms]:
    with node.as_path() as path:
        if not path.stat().st_size:
            return []
        with Trajectory(str(path)) as frames:
            return [_frame(atoms) for atoms in frames]


def _frame(atoms: Atoms) -> Atoms:
    # What is on file as numpy's own types would be, in a node, too.
    atoms.info = {name: value.item() if hasattr(value, "item") else value for name, value in atoms.info.items()}
    return atoms


@calcfunction
def report_exploration(settings: Dict, **reports: SinglefileData) -> Dict:
    """Sum up what the walkers of all jobs met.

    :param settings: the :class:`ExplorationConfig` that the walkers were made by, as dictionary.
    :param reports: the files `exploration.json` of the jobs.
    :returns: see :func:`summarize`.
    """
    found = [json.loads(reports[name].get_content(mode="r")) for name in sorted(reports)]
    asked = ExplorationConfig.model_validate(settings.get_dict()).walkers.total
    return Dict(summarize(asked, found))


def summarize(asked: int, reports: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what all walkers met.

    :returns: `walkers` asked and `done`; `complete`, whether all came to their end; `candidates`; `steps`; `time_ps` of
        molecular dynamics; `largest_grade`; `ended`, the number of walkers by how they ended; `limits`; `ways`, what became
        of each walker.
    """
    ways = sorted((way for report in reports for way in report["walkers"]), key=lambda way: way["walker"])
    return {
        "walkers": asked,
        "done": len(ways),
        "complete": len(ways) == asked,
        "candidates": sum(way["handed_in"] for way in ways),
        "steps": sum(way["steps"] for way in ways),
        "time_ps": sum(way["time_ps"] or 0.0 for way in ways),
        "largest_grade": max((way["largest_grade"] for way in ways), default=0.0),
        "ended": dict(Counter(way["ended"] for way in ways).most_common()),
        "limits": reports[0]["limits"] if reports else {},
        "ways": ways,
    }
