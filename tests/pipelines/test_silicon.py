"""The complete pipeline of the example with density functional theory."""

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
from aiida_mlip_autopipec.pipelines.builders import build_one_shot

COUNT = 8
"""Number of structures, fewer than in the example but enough to test the labels."""

EXAMPLE = Path(__file__).parents[2] / "examples" / "silicon.yaml"


@pytest.mark.skipif(shutil.which("pw.x") is None, reason="pw.x is not installed")
def test_silicon_example_gives_a_potential(aiida_profile: Profile) -> None:
    content = read_yaml(EXAMPLE)
    content["generator"]["count"] = COUNT
    config = parse_settings(PipelineConfig, content, "example")
    _, node = run_get_node(build_one_shot(config))
    assert node.is_finished_ok, node.exit_message
    report = node.outputs.oracle_report.get_dict()
    assert (report["asked"], report["labelled"], report["failed"]) == (COUNT, COUNT, [])
    jobs = [called for called in node.called_descendants if called.process_label == "PwCalculation"]
    assert len(jobs) >= COUNT  # pw.x is restarted if it does not converge
    assert node.outputs.metrics["reference_energies_source"] == "isolated_atoms"
    # With a wrong sign or unit, energies and forces would be inconsistent, and no fit would predict the forces.
    with np.load(io.BytesIO(node.outputs.predictions.get_content(mode="rb"))) as arrays:
        trained = arrays["split"][arrays["structure_index"]] == "train"
        reference, predicted = arrays["forces_reference"][trained], arrays["forces_predicted"][trained]
    assert np.corrcoef(reference.ravel(), predicted.ravel())[0, 1] > 0.8
    assert isinstance(node.outputs.potential, orm.SinglefileData)
