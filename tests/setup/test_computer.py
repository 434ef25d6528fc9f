"""Computers are created from a short file, and changed only with --overwrite."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest
from aiida import orm

from aiida_mlip_autopipec.config.errors import UserError
from aiida_mlip_autopipec.config.schemas.resources import ResourcesConfig
from aiida_mlip_autopipec.config.schemas.setup import ComputerConfig
from aiida_mlip_autopipec.host.computers import prepare_resources
from aiida_mlip_autopipec.setup.computer import setup_computer

pytestmark = pytest.mark.usefixtures("aiida_profile")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def settings() -> dict[str, Any]:
    return {
        "label": f"hpc-{uuid.uuid4().hex[:8]}",
        "host": "login.example.org",
        "user": "me",
        "work_folder": "/scratch/{username}/work",
        "queue": "normal",
        "account": "project",
        "environment": "module load python",
    }


def test_computer_is_created_with_all_settings(settings: dict[str, Any]) -> None:
    computer, added = setup_computer(ComputerConfig(**settings))
    assert added
    assert (computer.transport_type, computer.scheduler_type) == ("core.ssh_async", "core.slurm")
    assert computer.hostname == "login.example.org"
    assert computer.get_workdir() == "/scratch/{username}/work"
    assert computer.get_prepend_text() == "module load python"
    assert computer.is_configured
    assert computer.get_configuration()["host"] == settings["label"]


def test_queue_and_account_are_defaults_of_jobs(settings: dict[str, Any]) -> None:
    setup_computer(ComputerConfig(**settings))
    prepared = prepare_resources(ResourcesConfig(computer=settings["label"]))
    assert (prepared.queue, prepared.account) == ("normal", "project")
    assert prepared.options()["queue_name"] == "normal"
    own = prepare_resources(ResourcesConfig(computer=settings["label"], queue="debug"))
    assert (own.queue, own.account) == ("debug", "project")


def test_existing_computer_is_changed_only_with_overwrite(settings: dict[str, Any]) -> None:
    first, _ = setup_computer(ComputerConfig(**settings))
    other = ComputerConfig(**{**settings, "work_folder": "/elsewhere"})
    with pytest.raises(UserError, match="it is not changed"):
        setup_computer(other)
    assert orm.load_computer(settings["label"]).get_workdir() == "/scratch/{username}/work"
    changed, _ = setup_computer(other, overwrite=True)
    assert changed.uuid == first.uuid
    assert orm.load_computer(settings["label"]).get_workdir() == "/elsewhere"
    with pytest.raises(UserError, match="choose another label"):
        setup_computer(ComputerConfig(**{**settings, "scheduler": "pbspro"}), overwrite=True)


def test_computer_is_not_created_if_others_can_read_its_key(settings: dict[str, Any], home: Path) -> None:
    key = home / "key"
    key.touch(mode=0o644)
    with pytest.raises(UserError, match="chmod 600"):
        setup_computer(ComputerConfig(**settings, key=key))
    assert settings["label"] not in [computer.label for computer in orm.Computer.collection.all()]
    assert not (home / ".ssh/config").exists()
