"""What SSH is told about a computer: its entry in ~/.ssh/config, and the keys it would use."""

from __future__ import annotations

import subprocess
from pathlib import Path

from ..config.read import ConfigError
from ..config.schemas.setup import ComputerConfig
from .private import exposure

_SECONDS = 30


def config_file() -> Path:
    """Return the file that both `ssh` and AiiDA's SSH read."""
    return Path.home() / ".ssh" / "config"


def settings_of(name: str) -> dict[str, list[str]]:
    """Return what SSH makes of a name: its settings, in small letters, with their values.

    :raises ConfigError: if there is no `ssh`, or its settings cannot be read.
    """
    path = config_file()
    # Not its own default, which is in the home of the user's entry and not in $HOME; nor the machine's, as for AiiDA.
    command = ["ssh", "-G", "-F", str(path) if path.exists() else "none", "--", name]
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except FileNotFoundError as error:
        raise ConfigError("there is no `ssh` on the PATH: install it (apt-get install openssh-client)") from error
    if run.returncode != 0:
        raise ConfigError(f"{path} cannot be used by ssh: {run.stderr.strip()}")
    found: dict[str, list[str]] = {}
    for line in run.stdout.splitlines():
        key, _, value = line.partition(" ")
        found.setdefault(key, []).append(value)
    return found


def keys_of(name: str) -> list[Path]:
    """Return the files of private keys that SSH would try for a name, as far as they exist."""
    paths = [Path(value).expanduser() for value in settings_of(name).get("identityfile", [])]
    return [path for path in paths if path.is_file()]


def check_key(path: Path) -> None:
    """Refuse a private key that is missing, or that others can read.

    :raises ConfigError: saying how to mend it.
    """
    if not path.is_file():
        raise ConfigError(f"key: there is no file {path}: make one by `ssh-keygen -t ed25519 -f {path}`")
    fault = exposure(path)
    if fault is not None:
        raise ConfigError(f"key: {fault}")


def ensure_entry(config: ComputerConfig) -> bool:
    """See to it that `ssh LABEL` reaches the computer; an entry that says otherwise is left as it is.

    :returns: whether an entry was added.
    :raises ConfigError: if there is one that says otherwise.
    """
    faults = _differences(config)
    if not faults:
        return False
    path = config_file()
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    if _names(before, config.label):
        raise ConfigError(
            f"{path} has an entry '{config.label}' already, which says otherwise ({'; '.join(faults)}): it is left as it "
            "is. Change it there, or choose another label"
        )
    path.parent.mkdir(mode=0o700, exist_ok=True)
    if not path.exists():
        path.touch(mode=0o600)
    path.write_text("\n".join([*([before.rstrip(), ""] if before.strip() else []), *_entry(config), ""]))
    faults = _differences(config)
    if faults:
        path.write_text(before)
        raise ConfigError(
            f"what stands in {path} for all computers overrules these settings ({'; '.join(faults)}); nothing was changed. "
            f"Write an entry 'Host {config.label}' before it yourself"
        )
    return True


def _wanted(config: ComputerConfig) -> dict[str, str]:
    wanted = {"HostName": config.host, "User": config.user, "Port": config.port, "IdentityFile": config.key}
    return {name: str(value) for name, value in wanted.items() if value is not None}


def _differences(config: ComputerConfig) -> list[str]:
    """Return what SSH makes of the label that is not as wanted."""
    found = settings_of(config.label)
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
    # Else every key of the agent is tried first, and servers end a login after a few.
    return [*lines, *(["  IdentitiesOnly yes"] if config.key is not None else [])]
