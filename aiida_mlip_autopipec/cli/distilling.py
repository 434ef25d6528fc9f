"""The command `mlip-auto distill`: a fast potential that reproduces a foundation model for the user's material."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .common import check_writable, output_option
from .submitting import config_arguments, load_config, submit_run
from .watching import INTERRUPTED
from .watching import watch as watch_run

if TYPE_CHECKING:
    from aiida import orm


def _distill(
    config_file: Path | None,
    elements: tuple[str, ...],
    structures: tuple[Path, ...],
    teacher: str,
    no_reuse: bool,
    validate: bool,
    output: Path | None,
    profile: str | None,
) -> None:
    """Make a fast potential that reproduces a foundation model (or any ASE calculator) for your material.

    This is a run whose oracle is the teacher: its jobs have the resources `resources.oracle`. At the end, the command prints
    the errors of the potential against the teacher on structures that are not in the training set, and the time per atom of
    both. CONFIG.yaml has the settings of `mlip-auto run`, without the section `oracle`.
    """
    from ..config.schemas.oracle import ase_oracle

    config = load_config(config_file, elements, no_reuse, structures, profile, oracle=ase_oracle(teacher))
    if output is not None:
        check_writable(output)
    run = submit_run(config, profile, validate=validate)
    status = watch_run(run, output)
    if status != INTERRUPTED and run.is_finished_ok:
        click.echo(_comparison(run, teacher))
    sys.exit(status)


def _comparison(run: orm.WorkChainNode, teacher: str) -> str:
    """Return the lines that compare the potential with its teacher."""
    from ..dataset.trajectory import all_frames
    from ..provenance.calls import output_of
    from ..runs.label_cost import label_seconds_per_atom

    stored = output_of(run, "metrics")
    assert stored is not None
    metrics: dict[str, Any] = stored.get_dict()
    test = metrics["test"]
    errors = (
        f"{test['energy_rmse_meV_per_atom']:.2f} meV/atom and {test['force_rmse_eV_per_A']:.4f} eV/Å (RMSE, test set)"
        if test
        else "not known: there are no independent test structures"
    )
    lines = [f"Errors of the potential against {teacher}: {errors}."]
    mine = metrics["microseconds_per_atom"]
    if mine:
        lines.append(f"Time of the potential: {mine:.0f} µs per atom.")
    theirs = label_seconds_per_atom(all_frames(run.outputs.dataset))
    if mine and theirs:
        lines.append(
            f"Time of {teacher}: {1e6 * theirs:.0f} µs per atom, including the start of its jobs; the potential is "
            f"{1e6 * theirs / mine:.3g} times as fast."
        )
    return "\n".join(lines)


_OPTIONS = [
    *config_arguments,
    click.option(
        "--teacher",
        required=True,
        metavar="NAME",
        help="Foundation model: chgnet, mace_mp, mattersim, orb, sevennet; or another ASE calculator, by name or import path.",
    ),
    output_option,
]

for _decorate in reversed(_OPTIONS):
    _distill = _decorate(_distill)
distill = click.command("distill")(_distill)
