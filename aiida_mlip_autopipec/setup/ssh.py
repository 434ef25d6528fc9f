"""SSH settings of a computer: its entry in ~/.ssh/config, and its keys."""

from __future__ import annotations

import stat
import subprocess
from pathlib import Path

from ..config.errors import UserError
from ..config.schemas.setup import ComputerConfig
from ..dataset.files.writing import replacing
from .private import exposure_fault

_SECONDS = 30
"""Maximum time (s) for `ssh` to print its settings."""


def config_file() -> Path:
    """Return the file that both `ssh` and AiiDA's SSH read."""
    return Path.home() / ".ssh" / "config"


def ssh_settings(name: str) -> dict[str, list[str]]:
    """Return the effective SSH settings of a host name: values by keyword in lower case.

    :raises UserError: if there is no `ssh`, its settings cannot be read, or it does not end.
    """
    path = config_file()
    # With -F as in AiiDA: by default ssh ignores $HOME, and reads the settings of the machine too.
    command = ["ssh", "-G", "-F", str(path) if path.exists() else "none", "--", name]
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except FileNotFoundError as error:
        raise UserError("there is no `ssh` on the PATH: install it (apt-get install openssh-client)") from error
    except subprocess.TimeoutExpired as error:
        raise UserError(
            f"`{' '.join(command)}` has not ended after {_SECONDS} s: does a command of `Match exec` in {path} hang?"
        ) from error
    if run.returncode != 0:
        raise UserError(f"{path} cannot be used by ssh: {run.stderr.strip()}")
    found: dict[str, list[str]] = {}
    for line in run.stdout.splitlines():
        key, _, value = line.partition(" ")
        found.setdefault(key, []).append(value)
    return found


def private_keys(name: str) -> list[Path]:
    """Return the existing files of private keys that SSH would try for a host name."""
    paths = [Path(value).expanduser() for value in ssh_settings(name).get("identityfile", [])]
    return [path for path in paths if path.is_file()]


def check_key(path: Path) -> None:
    """Check that a private key exists and is readable only by its owner.

    :raises UserError: with a remedy, if not.
    """
    if not path.is_file():
        raise UserError(f"key: there is no file {path}: create it with `ssh-keygen -t ed25519 -f {path}`")
    fault = exposure_fault(path)
    if fault is not None:
        raise UserError(f"key: {fault}")


def ensure_entry(config: ComputerConfig) -> bool:
    """Add an entry to ~/.ssh/config unless `ssh LABEL` reaches the computer already.

    :returns: whether an entry was added.
    :raises UserError: if an existing entry conflicts with the settings; it is not changed.
    """
    faults = _differences(config)
    if not faults:
        return False
    path = config_file()
    before = _content(path)
    if _names(before, config.label):
        raise UserError(
            f"{path} has an entry '{config.label}' already, which conflicts with these settings ({'; '.join(faults)}): "
            "it is not changed. Change it yourself, or choose another label"
        )
    _write(path, "\n".join([*([before.rstrip(), ""] if before.strip() else []), *_entry(config), ""]))
    faults = _differences(config)
    if faults:
        _write(path, before)
        raise UserError(
            f"a general entry in {path} overrides these settings ({'; '.join(faults)}); nothing was changed. "
            f"Write an entry 'Host {config.label}' before it yourself"
        )
    return True


def _content(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8") if path.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error


def _write(path: Path, content: str) -> None:
    """Write a file atomically with its previous permissions; if it is a link, write its target."""
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        target = path.resolve()
        mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else 0o600
        with replacing(target) as temporary:
            temporary.chmod(mode)
            temporary.write_text(content, encoding="utf-8")
    except (OSError, RuntimeError) as error:
        raise UserError(f"{path} cannot be written: {getattr(error, 'strerror', None) or error}") from error


def _wanted(config: ComputerConfig) -> dict[str, str]:
    wanted = {"HostName": config.host, "User": config.user, "Port": config.port, "IdentityFile": config.key}
    return {name: str(value) for name, value in wanted.items() if value is not None}


def _differences(config: ComputerConfig) -> list[str]:
    """Return the effective SSH settings of the label that differ from the config."""
    found = ssh_settings(config.label)
    differences = []
    for name, value in _wanted(config).items():
        values = found.get(name.lower(), [])
        if name == "IdentityFile":
            values = [str(Path(path).expanduser()) for path in values]
        elif name == "HostName":
            values = [name.lower() for name in values]
            value = value.lower()
        if value not in values[: None if name == "IdentityFile" else 1]:
            differences.append(f"{name} {values[0] if values else 'none'}, not {value}")
    return differences


def _names(content: str, label: str) -> bool:
    headings = [line.split() for line in content.splitlines() if line.strip().lower().startswith("host ")]
    return any(label in heading[1:] for heading in headings)


def _entry(config: ComputerConfig) -> list[str]:
    wanted = _wanted(config)
    lines = [f"Host {config.label}"]
    lines += [f'  {name} "{value}"' if " " in value else f"  {name} {value}" for name, value in wanted.items()]
    # Otherwise all keys of the agent are tried first, and servers reject a login after a few.
    return [*lines, *(["  IdentitiesOnly yes"] if config.key is not None else [])]
