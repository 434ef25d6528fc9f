"""Entries are added to ~/.ssh/config; existing ones are never changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from aiida_mlip_autopipec.config.errors import UserError
from aiida_mlip_autopipec.config.schemas.setup import ComputerConfig
from aiida_mlip_autopipec.setup import ssh
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


def test_entry_is_added_once(home: Path) -> None:
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


def test_existing_entries_are_kept_and_sufficient_ones_are_used(home: Path) -> None:
    write(OTHER)
    assert ensure_entry(hpc(user="me"))
    assert config_file().read_text().startswith(OTHER)
    assert ssh_settings("other")["user"] == ["somebody"]
    assert not ensure_entry(hpc(user="me"))
    assert not ensure_entry(hpc())


def test_conflicting_entry_is_an_error_and_is_not_changed(home: Path) -> None:
    write("Host hpc\n  HostName login.example.org\n  User somebody\n")
    before = config_file().read_text()
    with pytest.raises(UserError, match=r"conflicts.*User somebody, not me"):
        ensure_entry(hpc(user="me"))
    assert config_file().read_text() == before


def test_overriding_entry_for_all_hosts_is_an_error_and_is_not_changed(home: Path) -> None:
    write("Host *\n  User somebody\n")
    before = config_file().read_text()
    with pytest.raises(UserError, match="overrides these settings"):
        ensure_entry(hpc(user="me"))
    assert config_file().read_text() == before


def test_command_in_the_settings_that_hangs_is_an_error(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh, "_SECONDS", 1)
    write('Match exec "sleep 5"\n  User somebody\n')
    with pytest.raises(UserError, match=r"has not ended after 1 s.*Match exec"):
        ensure_entry(hpc())


def test_key_must_exist_and_be_readable_only_by_its_owner(home: Path) -> None:
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
def test_values_with_shell_characters_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="should match pattern"):
        hpc(**wrong)


def test_target_of_a_link_is_replaced_and_keeps_its_mode(home: Path) -> None:
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


def test_error_names_a_file_that_cannot_be_written(home: Path) -> None:
    (home / ".ssh").write_text("no folder")
    with pytest.raises(UserError, match=r"\.ssh/config cannot be written: "):
        ensure_entry(hpc())
