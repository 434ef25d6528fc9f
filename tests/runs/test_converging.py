"""Labels at several settings of pw.x: different where the settings differ, with their cost, and reused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from aiida.engine import run_get_node
from aiida.manage.configuration import Profile
from ase.build import bulk

from aiida_mlip_autopipec.config.errors import UserError
from aiida_mlip_autopipec.config.schemas.pipeline import PipelineConfig
from aiida_mlip_autopipec.oracle.convergence import CutoffAndKpoints
from aiida_mlip_autopipec.runs.converging import LabelsAtSettings, find_cutoff, settings_of


@pytest.mark.skipif(shutil.which("pw.x") is None, reason="pw.x is not installed")
def test_labels_at_each_setting_and_their_cost(aiida_profile: Profile, silicon_upf: Path) -> None:
    oracle = {
        "type": "quantumespresso",
        "pseudopotentials": {"Si": str(silicon_upf)},
        "ecutwfc": 30.0,
        "max_concurrent_jobs": 2,
    }
    config = PipelineConfig(elements=["Si"], oracle=oracle, resources={"oracle": {"cores": 1}})
    cutoff = find_cutoff(config)
    assert settings_of(CutoffAndKpoints(9.0, 1.5), cutoff) == {"ecutwfc": 9.0, "ecutrho": 36.0, "kpoints_distance": 1.5}
    atoms = bulk("Si")
    atoms.rattle(0.05, seed=2)
    said: list[str] = []
    study = LabelsAtSettings(config, [atoms], lambda build: run_get_node(build())[1], said.append)
    settings = [CutoffAndKpoints(9.0, 1.5), CutoffAndKpoints(12.0, 1.5)]
    labels, seconds = study.compute(settings, cutoff)
    coarse, fine = (labels[setting][0] for setting in settings)
    # The energy falls with the number of plane waves.
    assert fine["energy"] < coarse["energy"] - 0.01
    assert all(seconds[setting] > 0 for setting in settings)
    assert "ecutwfc 9 Ry, k-points 1.5 1/Å: 1 labels computed, 0 reused" in said

    again, same_seconds = study.compute(settings, cutoff)
    assert said[-1].endswith("0 labels computed, 1 reused")
    assert again[settings[0]][0]["energy"] == coarse["energy"] and same_seconds == seconds


def test_an_oracle_without_cutoff_is_an_error(aiida_profile: Profile) -> None:
    with pytest.raises(UserError, match="emt has no cutoff"):
        find_cutoff(PipelineConfig(elements=["Cu"]))
