"""Declarations of the portable programs of this package."""

from __future__ import annotations

from .failures import KILLED, OUT_OF_TIME
from .program import Program

PACE_TRAIN = Program(
    name="pace_train",
    modules=("mlip_common", "mlip_train"),
    files={"input": "input.yaml", "dataset": "dataset.traj", "teacher": "teacher.yaml"},
    results={"metrics.json": "metrics"},
    failures=(
        "bad_input",
        "no_neighbours",
        "too_few_atoms",
        "diverged",
        "unphysical",
        OUT_OF_TIME,
        KILLED,
        "not_installed",
    ),
)

SELECT_STRUCTURES = Program(
    name="select_structures",
    modules=("mlip_common", "mlip_train", "mlip_select"),
    files={"settings": "settings.json", "candidates": "candidates.traj", "known": "known.traj"},
    results={"selection.json": None},
    failures=("bad_input", "nothing_new", KILLED, "not_installed"),
)

EXPLORE_STRUCTURES = Program(
    name="explore_structures",
    modules=("mlip_common", "mlip_explore"),
    files={
        "settings": "settings.json",
        "walkers": "walkers.traj",
        "yaml": "potential.yaml",
        "asi": "potential.asi",
    },
    results={"exploration.json": None},
    failures=("bad_input", "potential_unusable", "not_installed", OUT_OF_TIME, KILLED),
)

VALIDATE_POTENTIAL = Program(
    name="validate_potential",
    modules=("mlip_common", "mlip_evaluate"),
    files={
        "potential": "potential.yace",
        "structures": "structures.traj",
        "starts": "starts.traj",
        "settings": "settings.json",
        "yaml": "potential.yaml",
        "asi": "potential.asi",
    },
    results={"equilibrium.json": "equilibrium", "labels.npz": None},
    failures=("bad_input", "potential_unusable", "not_installed", KILLED),
)

LABEL_STRUCTURES = Program(name="label_structures", modules=("mlip_common", "mlip_label"))
"""Run by `AseLabelCalculation`, which declares its files and exit codes."""

PROGRAMS = {
    program.name: program
    for program in (EXPLORE_STRUCTURES, LABEL_STRUCTURES, PACE_TRAIN, SELECT_STRUCTURES, VALIDATE_POTENTIAL)
}
