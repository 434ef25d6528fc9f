"""Search for the calculations behind a potential that belong to a teacher, not to the oracle."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .calls import TEACH
from .walks import Call, calls_above

OF_TEACHER = " (teacher)"
"""End of the label of a process that belongs to a teacher."""


def calculations_of_teachers(calculations: Iterable[int], calls: Mapping[int, Call]) -> set[int]:
    """Return those of some calculations, by PK, that ran in a run of a teacher.

    :param calls: the calls of the calculations and of what called them.
    """
    return {pk for pk in calculations if any(call.label == TEACH for call in calls_above(pk, calls))}
