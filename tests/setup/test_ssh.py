"""Entries are added to ~/.ssh/config; existing ones are never changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from aiida_mlip_autopipec.config.errors import UserError
from aiida_mlip_autopipec.config.schemas.setup import ComputerConfig
from aiida_mlip_autopipec.setup.ssh import check_key, config_file, ensure_entry, private_keys, ssh_settings

OTHER = "# mine\nCompression yes\n\nHost other\n  User somebody\n"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def hpc(**settings: Any) -> ComputerConfig:
    return ComputerConfig(**{"label": "hpc", "host": "login.example.org", "work_folder": "/scratch", **settings})


def write(content: str) -> None:
    config_file().parent.mkdir(mode=0o700)
    config_file().write_text(content)


def test_an_entry_is_made_once(home: Path) -> None:
    key = home / "a key"
    key.touch(mode=0o600)
    settings = hpc(user="me", port=2222, key=key)
    assert ensure_entry(settings)
    assert config_file().stat().st_mode & 0o077 == 0
    found = ssh_settings("hpc")
    assert (found["hostname"], found["user"], found["port"]) == (["login.example.org"], ["me"], ["2222"])
    assert private_keys("hpc") == [key]
    before = config_file().read_text()
    assert not ensure_entry(settings)
    assert config_file().read_text() == before


def test_what_stood_there_stays_and_what_suffices_is_left(home: Path) -> None:
    write(OTHER)
    assert ensure_entry(hpc(user="me"))
    assert config_file().read_text().startswith(OTHER)
    assert ssh_settings("other")["user"] == ["somebody"]
    assert not ensure_entry(hpc(user="me"))
    assert not ensure_entry(hpc())


def test_a_conflicting_entry_is_an_error_and_stays(home: Path) -> None:
    write("Host hpc\n  HostName login.example.org\n  User somebody\n")
    before = config_file().read_text()
    with pytest.raises(UserError, match=r"conflicts.*User somebody, not me"):
        ensure_entry(hpc(user="me"))
    assert config_file().read_text() == before


def test_settings_for_all_that_overrule_it_are_an_error_and_stay(home: Path) -> None:
    write("Host *\n  User somebody\n")
    before = config_file().read_text()
    with pytest.raises(UserError, match="overrides these settings"):
        ensure_entry(hpc(user="me"))
    assert config_file().read_text() == before


def test_a_key_must_be_there_and_ones_own(home: Path) -> None:
    with pytest.raises(UserError, match="ssh-keygen"):
        check_key(home / "key")
    (home / "key").touch(mode=0o600)
    check_key(home / "key")
    (home / "key").chmod(0o644)
    with pytest.raises(UserError, match="chmod 600"):
        check_key(home / "key")


@pytest.mark.parametrize(
    "wrong", [{"label": "-oProxyCommand=x"}, {"host": "-x"}, {"host": "a b"}, {"user": "a;b"}, {"work_folder": "~/x y"}]
)
def test_words_that_a_shell_would_read_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="should match pattern"):
        hpc(**wrong)


def test_the_file_is_replaced_with_its_mode_where_a_link_names_it(home: Path) -> None:
    (home / "dotfiles").mkdir()
    real = home / "dotfiles" / "config"
    real.write_text(OTHER)
    real.chmod(0o640)
    config_file().parent.mkdir(mode=0o700)
    config_file().symlink_to(real)
    assert ensure_entry(hpc())
    assert config_file().is_symlink()
    assert real.read_text().startswith(OTHER.rstrip())
    assert real.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in real.parent.iterdir()] == ["config"]


def test_a_file_that_cannot_be_written_is_named(home: Path) -> None:
    (home / ".ssh").write_text("no folder")
    with pytest.raises(UserError, match=r"\.ssh/config cannot be written: "):
        ensure_entry(hpc())
