"""The documentation builds without a warning, and its generated pages describe all settings, commands and processes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
import yaml
from mlip_common.errors import EXIT_STATUSES
from pydantic import BaseModel

from aiida_mlip_autopipec.app import main

from .blocks import ROOT
from .reference import reference


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built pages."""
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-n", "-q", ROOT / "docs", out]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return out


def text_of(page: Path) -> str:
    return re.sub(r"<[^>]+>", "", page.read_text(encoding="utf-8"))


def keys_of(model: type[BaseModel]) -> set[str]:
    keys = set(model.model_fields)
    for field in model.model_fields.values():
        for inner in reference._models_of(field):
            keys |= keys_of(inner)
    return keys


def test_every_setting_is_documented(site: Path) -> None:
    text = text_of(site / "reference" / "settings.html")
    assert {key for key in keys_of(reference.model_of("pipeline")) if key not in text} == set()
    assert "max_failed_fractionnumber;≥0,≤10.1" in re.sub(r"\s", "", text)


def test_every_command_is_documented(site: Path) -> None:
    text = text_of(site / "reference" / "commands.html")

    def names(command: click.Command, above: str) -> list[str]:
        if not isinstance(command, click.Group):
            return [above]
        return [
            name for key, one in command.commands.items() if not one.hidden for name in names(one, f"{above} {key}")
        ]

    assert [name for name in names(main, "mlip-auto") if name.rsplit(" ", 1)[-1] not in text] == []


def test_every_process_is_documented(site: Path) -> None:
    for group, page in (("aiida.workflows", "workchains"), ("aiida.calculations", "calculations")):
        text = text_of(site / "reference" / f"{page}.html")
        assert [name for name in reference.processes(group) if name not in text] == []


def test_remedies_exist_for_exactly_the_exit_codes_of_the_package() -> None:
    known = yaml.safe_load(reference.REMEDIES.read_text(encoding="utf-8"))
    codes = reference.exit_codes()
    used = {f"{name} {label}" if f"{name} {label}" in known["exit_codes"] else label for name, label in codes}
    assert used == set(known["exit_codes"])
    assert set(known["failure_kinds"]) == set(EXIT_STATUSES)


def test_a_new_exit_code_without_a_remedy_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fewer = yaml.safe_load(reference.REMEDIES.read_text(encoding="utf-8"))
    del fewer["exit_codes"]["ERROR_DIVERGED"]
    (tmp_path / "remedies.yaml").write_text(yaml.safe_dump(fewer))
    monkeypatch.setattr(reference, "REMEDIES", tmp_path / "remedies.yaml")
    with pytest.raises(ValueError, match="no remedy for exit code ERROR_DIVERGED"):
        reference.remedies()
