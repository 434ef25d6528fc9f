"""The reference method."""

from __future__ import annotations

import re
from typing import Any, Literal

from ase.calculators.calculator import names as ase_names
from ase.calculators.emt import parameters as emt_parameters
from pydantic import Field, PositiveFloat, PositiveInt, field_validator

from .base import Settings

EMT_ELEMENTS = frozenset(emt_parameters)
"""Elements that ASE's effective medium theory knows."""

_IMPORT_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*[.:][A-Za-z_]\w*")


class AseOracleConfig(Settings):
    """Any ASE calculator, run in batches by the portable script `label_structures`."""

    type: Literal["ase"] = "ase"
    """Kind of oracle."""

    calculator: str = "emt"
    """An ASE name (emt, lj, eam, gpaw, ...) or the import path of a calculator class or factory (`package.module:Class`),
    which is imported, and so runs code, where the jobs run."""

    parameters: dict[str, Any] = Field(default_factory=dict)
    """Keyword arguments of the calculator."""

    structures_per_job: PositiveInt = 100
    """Structures labelled by one job: about 100 for a cheap calculator, 1 for an expensive one."""

    max_concurrent_jobs: PositiveInt = 8
    """Jobs in the queue at a time."""

    seconds_per_structure: PositiveFloat | None = None
    """A structure that takes longer is given up, reported, and the next one begun; no limit if empty."""

    max_attempts: PositiveInt = 3
    """How often a structure is submitted again when its job was killed before its turn was over."""

    max_failed_fraction: float = Field(default=0.1, ge=0.0, le=1.0)
    """The run ends with an error when a larger part of the structures could not be labelled; what was labelled is kept."""

    @field_validator("calculator")
    @classmethod
    def _known_or_importable(cls, value: str) -> str:
        if value in ase_names or _IMPORT_PATH.fullmatch(value):
            return value
        raise ValueError(
            f"'{value}' is neither one of ASE's calculators ({', '.join(sorted(ase_names))}) "
            "nor an import path such as 'package.module:Class'"
        )

    def method(self) -> dict[str, Any]:
        """Return the identity of the labels: what changes an energy, and nothing else."""
        return {"type": self.type, "calculator": self.calculator, "parameters": self.parameters}


OracleConfig = AseOracleConfig
