"""Computation of all chosen properties of structures with a calculator."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from ase import Atoms

from ..config.schemas.properties import PropertiesConfig
from .crystals import relax_crystal
from .model import NotComputableError, Result
from .registry import chosen_properties


def compute_properties(
    structures: Mapping[str, Atoms],
    config: PropertiesConfig,
    calculator: Any,
    show: Callable[[str], None] = lambda line: None,
) -> list[dict[str, Any]]:
    """Return the results of all properties of all structures, see :meth:`~.model.Result.as_dict`.

    Structures are relaxed first, together with their cells; one that cannot be relaxed is in the results with the reason.

    :param show: is called with a line about each step.
    :raises UserError: if the settings name an unknown property.
    """
    properties = chosen_properties(config)
    crystals, results = {}, []
    for name, atoms in structures.items():
        try:
            crystals[name] = relax_crystal(atoms, calculator, config.max_force, config.max_steps)
        except (NotComputableError, ValueError, RuntimeError) as error:
            results.append(Result("relaxation", name, reason=str(error)))
            show(f"{name}: {error}")
    for item in properties:
        start = time.perf_counter()
        results += item.compute(crystals, calculator)
        show(f"{item.name}: {time.perf_counter() - start:.1f} s")
    return [result.as_dict() for result in results]
