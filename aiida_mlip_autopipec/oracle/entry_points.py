"""The oracles of this package, as its entry points name them. AiiDA is imported only when a run is prepared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..config.cutoff import Cutoff
from ..config.oracles import Oracle
from ..config.recipes import find_recipe
from ..config.schemas.oracle import AseOracleConfig, QuantumEspressoOracleConfig
from ..config.schemas.resources import ResourcesConfig


def _prepare_ase(config: AseOracleConfig, resources: ResourcesConfig, elements: Sequence[str]) -> dict[str, Any]:
    from .prepare import prepare_ase

    return prepare_ase(config, resources, elements)


def _prepare_pw(
    config: QuantumEspressoOracleConfig, resources: ResourcesConfig, elements: Sequence[str]
) -> dict[str, Any]:
    from .prepare import prepare_pw

    return prepare_pw(config, resources, elements)


def _computer_of_pw(config: QuantumEspressoOracleConfig) -> str:
    from .prepare import find_pw_code

    return str(find_pw_code(config.code).computer.label)


def _cutoff_of_ase(config: AseOracleConfig) -> Cutoff | None:
    recipe = find_recipe(config.calculator)
    return None if recipe is None else recipe.cutoff


def _cutoff_of_pw(config: QuantumEspressoOracleConfig) -> Cutoff | None:
    if config.ecutwfc is None or config.ecutrho is None:
        return None
    ratio = config.ecutrho / config.ecutwfc
    return Cutoff(
        "ecutwfc",
        "Ry",
        (20, 30, 40, 50, 60, 75, 90),
        lambda value: {"ecutwfc": value, "ecutrho": round(ratio * value, 6)},
    )


ASE = Oracle(
    settings=AseOracleConfig,
    prepare=_prepare_ase,
    workchain="mlip_autopipec.oracle.ase",
    cutoff=_cutoff_of_ase,
)

QUANTUMESPRESSO = Oracle(
    settings=QuantumEspressoOracleConfig,
    prepare=_prepare_pw,
    workchain="mlip_autopipec.oracle.quantumespresso",
    computer=_computer_of_pw,
    cutoff=_cutoff_of_pw,
)
