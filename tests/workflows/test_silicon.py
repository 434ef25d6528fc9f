"""The whole pipeline with density functional theory, as the example has it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from aiida import orm
from aiida.engine import run_get_node
from aiida.manage.configuration import Profile

from aiida_mlip_autopipec.config.read import parse_settings, read_yaml
from aiida_mlip_autopipec.config.schemas.pipeline import PipelineConfig
from aiida_mlip_autopipec.workflows.builder import build_one_shot

EXAMPLE = Path(__file__).parents[2] / "examples" / "silicon.yaml"


@pytest.mark.skipif(shutil.which("pw.x") is None, reason="pw.x is not installed")
def test_from_nothing_to_a_potential_of_silicon(aiida_profile: Profile) -> None:
    config = parse_settings(PipelineConfig, read_yaml(EXAMPLE), "example")
    _, node = run_get_node(build_one_shot(config))
    assert node.is_finished_ok, node.exit_message
    report = node.outputs.oracle_report.get_dict()
    assert (report["asked"], report["labelled"], report["failed"]) == (20, 20, [])
    jobs = [called for called in node.called_descendants if called.process_label == "PwCalculation"]
    assert len(jobs) >= 20  # pw.x is started again for one that does not converge
    assert node.outputs.metrics["reference_energies_source"] == "isolated_atoms"
    # One wrong sign or unit, and the forces of twenty structures would not be those of any potential.
    assert node.outputs.metrics["train"]["force_rmse_eV_per_A"] < 1.0
    assert isinstance(node.outputs.potential, orm.SinglefileData)
