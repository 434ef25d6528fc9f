"""Active learning from the command line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiida import orm
from aiida.manage.configuration import Profile
from plumpy.process_states import ProcessState

from aiida_mlip_autopipec.runs.progress import ONE_SHOT

from ..conftest import Command
from ..pipelines.test_active_learning import SETTINGS
from ..waiting import wait_for


def write(folder: Path, **changes: Any) -> Path:
    config = folder / "CONFIG.yaml"
    config.write_text(yaml.safe_dump({**SETTINGS, **changes}))
    return config


@pytest.mark.parametrize(
    ("changes", "options", "said"),
    [
        ({"selection": "none"}, [], "selection: 'none' is only for `mlip-auto run`"),
        ({"learning": {"start": 30, "max_labels": 20}}, [], "less than start (30)"),
        ({}, ["--max-labels", "0"], "--max-labels"),
        ({}, ["--target-force-rmse", "0"], "--target-force-rmse"),
        ({}, ["--detach", "--output", "out"], "--detach returns before there are results"),
        ({}, ["--from", "1000000"], "does not identify a node"),
        ({"exploration": {"select_grade": 30.0}}, [], "stop_grade (10) must not be below select_grade (30)"),
        ({"learning": 7}, ["--max-labels", "30"], "learning"),
    ],
    ids=lambda value: "" if isinstance(value, (dict, list)) else value,
)
def test_invalid_requests_are_refused_before_submission(
    mlip_auto: Command, tmp_path: Path, changes: dict[str, Any], options: list[str], said: str
) -> None:
    refused = mlip_auto("learn", write(tmp_path, **changes), *options)
    assert refused.returncode != 0
    assert said in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.slow
def test_resume_continues_a_killed_run_from_its_last_round(mlip_auto: Command, tmp_path: Path) -> None:
    begun = mlip_auto("learn", write(tmp_path), "--detach")
    found = re.search(r"^Run (\d+) submitted", begun.stdout, re.M)
    assert found, begun.stdout + begun.stderr
    wait_for("the first round", lambda: "✓ round 1" in mlip_auto("status", found[1]).stdout)
    assert mlip_auto("kill", found[1]).returncode == 0
    assert "learned" not in mlip_auto("status", found[1]).stdout

    again = mlip_auto("resume", found[1])
    resumed = re.search(r"^Run (\d+) submitted", again.stdout, re.M)
    assert resumed, again.stdout + again.stderr
    ended = mlip_auto("watch", resumed[1], "--output", tmp_path / "out")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "✓ learned" in ended.stdout
    # Its first round was in the history already.
    assert "round 1" in ended.stdout and "start" in ended.stdout
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"potential.yace", "report.html", "dataset.extxyz"}
    refused = mlip_auto("resume", resumed[1])
    assert refused.returncode != 0 and "has finished successfully" in refused.stderr


def test_from_accepts_only_runs_of_active_learning(mlip_auto: Command, aiida_profile: Profile) -> None:
    run = orm.WorkChainNode()
    run.set_process_label(ONE_SHOT)
    run.set_process_state(ProcessState.FINISHED)
    refused = mlip_auto("learn", "--from", str(run.store().pk))
    assert refused.returncode != 0 and "--from takes a run of `mlip-auto learn`" in refused.stderr
