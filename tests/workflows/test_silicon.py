"""The whole pipeline with density functional theory, as the example has it."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from aiida import orm
from aiida.engine import run_get_node
from aiida.manage.configuration import Profile

from aiida_mlip_autopipec.config.read import parse_settings, read_yaml
from aiida_mlip_autopipec.config.schemas.pipeline import PipelineConfig
from aiida_mlip_autopipec.workflows.builder import build_one_shot

COUNT = 12
"""Structures, fewer than in the example: enough to see that labels are right."""

EXAMPLE = Path(__file__).parents[2] / "examples" / "silicon.yaml"


@pytest.mark.skipif(shutil.which("pw.x") is None, reason="pw.x is not installed")
def test_from_nothing_to_a_potential_of_silicon(aiida_profile: Profile) -> None:
    content = read_yaml(EXAMPLE)
    content["generator"]["count"] = COUNT
    config = parse_settings(PipelineConfig, content, "example")
    _, node = run_get_node(build_one_shot(config))
    assert node.is_finished_ok, node.exit_message
    report = node.outputs.oracle_report.get_dict()
    assert (report["asked"], report["labelled"], report["failed"]) == (COUNT, COUNT, [])
    jobs = [called for called in node.called_descendants if called.process_label == "PwCalculation"]
    assert len(jobs) >= COUNT  # pw.x is started again for one that does not converge
    assert node.outputs.metrics["reference_energies_source"] == "isolated_atoms"
    # One wrong sign or unit, and energies and forces would not be those of any potential: forces would fit no better than 0.
    with np.load(io.BytesIO(node.outputs.predictions.get_content(mode="rb"))) as arrays:
        trained = arrays["split"][arrays["structure_index"]] == "train"
        reference, predicted = arrays["forces_reference"][trained], arrays["forces_predicted"][trained]
    assert np.corrcoef(reference.ravel(), predicted.ravel())[0, 1] > 0.8
    assert isinstance(node.outputs.potential, orm.SinglefileData)
