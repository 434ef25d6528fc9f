"""Levels of pw.x are the protocols of aiida-quantumespresso; explicit settings have precedence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from aiida.manage.configuration import Profile

from aiida_mlip_autopipec.config.errors import UserError
from aiida_mlip_autopipec.config.pw_protocols import pw_protocol
from aiida_mlip_autopipec.config.read import parse_settings
from aiida_mlip_autopipec.config.recipes import LEVELS, Level
from aiida_mlip_autopipec.config.schemas.oracle import QuantumEspressoOracleConfig
from aiida_mlip_autopipec.config.schemas.pipeline import PipelineConfig


def config_of(**settings: Any) -> QuantumEspressoOracleConfig:
    return parse_settings(QuantumEspressoOracleConfig, settings, "oracle")


@pytest.mark.parametrize("level", LEVELS)
def test_settings_are_those_of_the_protocol(aiida_profile: Profile, level: Level) -> None:
    from aiida.plugins import WorkflowFactory

    inputs = WorkflowFactory("quantumespresso.pw.base").get_protocol_inputs(level)
    config = config_of(level=level)
    assert config.kpoints_distance == inputs["kpoints_distance"]
    assert config.pseudo_family == inputs["pseudo_family"]
    system = inputs["pw"]["parameters"]["SYSTEM"]
    assert (config.smearing, config.degauss) == (system["smearing"], system["degauss"])
    assert config.convergence == inputs["meta_parameters"]["conv_thr_per_atom"]


def test_explicit_settings_have_precedence_and_stored_ones_are_read_back() -> None:
    config = config_of(level="fast", degauss=0.01, pseudopotentials={"Si": Path("Si.upf")}, ecutwfc=20.0)
    assert (config.degauss, config.pseudo_family) == (0.01, None)
    assert config.kpoints_distance == pw_protocol("fast")["kpoints_distance"]
    assert QuantumEspressoOracleConfig.model_validate(config.model_dump(mode="json")) == config


def test_settings_without_level_keep_the_identity_of_labels() -> None:
    config = config_of(pseudopotentials={"Si": Path("Si.upf")}, ecutwfc=20.0)
    method = config.method({"Si": "hash"}, "pw")
    expected = {"kpoints_distance": 0.15, "smearing": "cold", "degauss": 0.02, "convergence": 1e-10}
    assert {name: method[name] for name in expected} == expected
    assert "level" not in method


def test_a_wrong_level_is_an_error() -> None:
    content = {"elements": ["Si"], "oracle": {"type": "quantumespresso", "level": "best", "pseudo_family": "SSSP"}}
    with pytest.raises(UserError, match=r"oracle\.level: 'best' is not allowed: must be 'fast', 'balanced' or"):
        parse_settings(PipelineConfig, content, "CONFIG.yaml")
