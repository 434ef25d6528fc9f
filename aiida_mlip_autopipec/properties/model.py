"""A property and its results: quantities with units, and plots."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

import numpy as np
from ase import Atoms

from ..config.schemas.base import StrictSettings
from ..validation.measurement import NotMeasurableError


@dataclass(frozen=True)
class Value:
    """A quantity: a number, or an array such as a tensor, with its unit and, if known, its error."""

    name: str
    value: Any
    unit: str
    error: float | None = None


@dataclass(frozen=True)
class Line:
    """A line of a plot: `y` (n,) at `x` (n,), with markers if `points`. `label`: legend entry; without a label, none."""

    x: Any
    y: Any
    label: str = ""
    points: bool = False


@dataclass(frozen=True)
class Panel:
    """Axes of a plot. `ticks` are (position, name) on the x axis."""

    x_label: str
    y_label: str
    lines: Sequence[Line]
    ticks: Sequence[tuple[float, str]] = ()
    width: float = 1.0


@dataclass(frozen=True)
class Plot:
    """A figure of panels side by side with a common y axis, or a solid: faces by label, each (n, 3) corners."""

    name: str
    panels: Sequence[Panel] = ()
    faces: Mapping[str, Sequence[Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    """The quantities and plots of a property of one structure; `reason` says why they are missing."""

    property: str
    structure: str
    values: Sequence[Value] = ()
    plots: Sequence[Plot] = ()
    notes: Sequence[str] = ()
    reason: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return a dictionary for JSON; numbers that are not finite become None."""
        content: dict[str, Any] = plain_numbers(asdict(self))
        return content


class NotComputableError(ValueError):
    """A property cannot be computed; the message is the reason."""


class Property(ABC):
    """A property: structures in, quantities out.

    A property of your own is a subclass with `name` and :meth:`measure`, and optionally `Settings`.
    """

    name: ClassVar[str]
    Settings: ClassVar[type[StrictSettings]] = StrictSettings

    def __init__(self, settings: Any = None) -> None:
        """Set the settings, an instance of `Settings`."""
        self.settings: Any = settings if settings is not None else self.Settings()

    def compute(self, structures: Mapping[str, Atoms], calculator: Any) -> list[Result]:
        """Return a result for each structure; a failure is a reason in its result.

        :param structures: relaxed crystals by name, in the standard orientation of their primitive cell.
        :param calculator: an ASE calculator.
        """
        return [self._result(name, structures, calculator) for name in structures]

    def _result(self, name: str, structures: Mapping[str, Atoms], calculator: Any) -> Result:
        try:
            return self.measure(name, structures, calculator)
        except (NotComputableError, NotMeasurableError) as error:
            return Result(self.name, name, reason=str(error))
        except (ValueError, RuntimeError, ArithmeticError, np.linalg.LinAlgError) as error:
            return Result(self.name, name, reason=f"{type(error).__name__}: {error}")

    @abstractmethod
    def measure(self, name: str, structures: Mapping[str, Atoms], calculator: Any) -> Result:
        """Return the result for the structure `name`; the other structures may serve as references.

        :raises NotComputableError: with the reason, if it cannot be computed.
        """


def plain_numbers(content: Any) -> Any:
    """Return content with arrays as lists, and numbers that are not finite as None."""
    if isinstance(content, Mapping):
        return {str(key): plain_numbers(value) for key, value in content.items()}
    if isinstance(content, np.ndarray):
        return plain_numbers(content.tolist())
    if isinstance(content, list | tuple):
        return [plain_numbers(value) for value in content]
    if isinstance(content, np.generic):
        return plain_numbers(content.item())
    if isinstance(content, float) and not math.isfinite(content):
        return None
    return content
