"""The whole verdict, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .checks import RELATIVE, Check, compare, merge_curves
from .dynamics import Record, check_dynamics
from .measurement import Curve, Labels
from .plan import Plan


def assess(plan: Plan, potential: Labels, oracle: Labels, records: Mapping[str, Record]) -> dict[str, Any]:
    """Return the verdict on a potential.

    :param potential: the potential's labels, by name of the structure.
    :param oracle: the oracle's labels of the same structures.
    :param records: dynamics, by name of the crystal they start from.
    :returns: `passed`; `checks`, as :meth:`Check.as_dict`; `curves`, as :func:`merge_curves`; and `settings`, among them
        under `relative` the names of the checks whose deviation is a part of the oracle's value.
    """
    mine, theirs = plan.measure(potential), plan.measure(oracle)
    checks: list[Check] = compare(mine, theirs, plan.config.limits)
    curves: list[Curve] = []
    for name, start in plan.starts().items():
        if name not in records:
            checks.append(Check("dynamics", name, "runs", "", None, None, None, None, False, "there was no run"))
            continue
        found, drawn = check_dynamics(name, start, records[name], plan.config)
        checks += found
        curves += drawn
    return {
        "passed": all(check.passed for check in checks),
        "checks": [check.as_dict() for check in checks],
        "curves": merge_curves([*mine.curves, *curves], theirs.curves),
        "settings": {**plan.config.model_dump(mode="json"), "relative": sorted(RELATIVE)},
    }
