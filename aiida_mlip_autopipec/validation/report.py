"""The report of a validation: checks, curves and verdict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .checks import RELATIVE, Check, compare, merge_curves
from .dynamics import Record, check_dynamics
from .measurement import Curve, Labels
from .plan import Plan


def validation_report(plan: Plan, potential: Labels, oracle: Labels, records: Mapping[str, Record]) -> dict[str, Any]:
    """Return the report of a validation.

    :param potential: labels of the potential, by name of the structure.
    :param oracle: labels of the oracle, by name of the structure.
    :param records: records of the MD runs, by name of the crystal.
    :returns: `passed`, the verdict; `checks`, see :meth:`Check.as_dict`, where those that are not comparable neither pass nor
        fail; `curves`, see :func:`merge_curves`; and `settings`, with the kinds of check with a relative deviation under
        `relative`.
    """
    predicted, reference = plan.measure(potential), plan.measure(oracle)
    checks: list[Check] = compare(predicted, reference, plan.config.limits)
    curves: list[Curve] = []
    for name, start in plan.starts().items():
        if name not in records:
            checks.append(Check("dynamics", name, "runs", "", None, None, None, None, False, "there was no run"))
            continue
        run_checks, run_curves = check_dynamics(name, start, records[name], plan.config)
        checks += run_checks
        curves += run_curves
    return {
        "passed": all(check.passed is None or check.passed for check in checks),
        "checks": [check.as_dict() for check in checks],
        "curves": merge_curves([*predicted.curves, *curves], reference.curves),
        "settings": {**plan.config.model_dump(mode="json"), "relative": sorted(RELATIVE)},
    }
