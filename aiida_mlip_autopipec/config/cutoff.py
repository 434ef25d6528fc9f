"""The cutoff of a method, as `mlip-auto converge` varies it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Cutoff:
    """A cutoff of an oracle.

    :param name: name of the setting.
    :param unit: its unit.
    :param values: values to try, growing.
    :param settings: returns the settings, as in the section `oracle` of a config, for a value.
    """

    name: str
    unit: str
    values: Sequence[float]
    settings: Callable[[float], Mapping[str, Any]]
