"""The AiiDA profile: that of the user, or a new one that needs no services."""

from __future__ import annotations

import contextlib
import fcntl
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiida.manage.configuration import Profile, create_profile, get_config, load_profile
from aiida.manage.configuration.settings import AiiDAConfigDir
from aiida.plugins import BrokerFactory

from ..config.errors import UserError, shown
from ..config.schemas.setup import ProfileConfig

PROFILE = "mlip-auto"

DAEMON_SECONDS = 60
"""Maximum time (s) that `verdi daemon` waits for an answer of the daemon; AiiDA's 2 s are too short on a busy machine."""


@dataclass(frozen=True)
class Backend:
    """An AiiDA plugin for the storage or the broker of a profile, and its settings."""

    plugin: str
    settings: dict[str, Any]


EMBEDDED_BROKER = "core.zeromq"
EMBEDDED_STORAGE = Backend("core.sqlite_dos", {})


def embedded_broker() -> Backend:
    """Return the broker that the daemon starts itself."""
    return Backend(EMBEDDED_BROKER, BrokerFactory(EMBEDDED_BROKER).get_default_config())


def ensure_profile(name: str | None = None, *, make: bool = True) -> tuple[Profile, bool]:
    """Load a profile: the named one, else the default one, else a new one that needs no services.

    :param make: whether a new profile may be created.
    :returns: the profile, and whether it was created now.
    :raises UserError: if the profile does not exist and none may be created.
    """
    with exclusive_lock():
        return _ensure_profile(name, make=make)


@contextlib.contextmanager
def exclusive_lock() -> Iterator[None]:
    """Hold a lock, so that commands running at the same time create profile, computers, codes and daemon only once."""
    with (Path(AiiDAConfigDir.get()) / "mlip-auto.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _ensure_profile(name: str | None, *, make: bool) -> tuple[Profile, bool]:
    config = get_config(create=True)
    if name is not None and name not in config.profile_names:
        known = ", ".join(config.profile_names) or "none yet: without --profile, one is created"
        raise UserError(f"there is no AiiDA profile {shown(name)}; known: {known}")
    if name is not None or config.default_profile_name is not None:
        return load_profile(name, allow_switch=True), False
    if config.profile_names:
        raise UserError(
            f"no AiiDA profile is the default one; choose by --profile from: {', '.join(config.profile_names)}"
        )
    if not make:
        raise UserError("there is no AiiDA profile yet: `mlip-auto run --element Cu` creates one")
    return make_profile(ProfileConfig(name=PROFILE), EMBEDDED_STORAGE, embedded_broker()), True


def make_profile(settings: ProfileConfig, storage: Backend, broker: Backend) -> Profile:
    """Create a profile and load it; it becomes the default profile if there is none."""
    config = get_config(create=True)
    create_profile(
        config,
        name=settings.name,
        email=settings.email,
        storage_backend=storage.plugin,
        storage_config=storage.settings,
        broker_backend=broker.plugin,
        broker_config=broker.settings,
    )
    config.set_option("runner.poll.interval", 1, scope=settings.name)
    config.set_option("daemon.timeout", DAEMON_SECONDS, scope=settings.name)
    if config.default_profile_name is None:
        config.set_default_profile(settings.name, overwrite=True)
    config.store()
    profile = load_profile(settings.name, allow_switch=True)
    if storage == EMBEDDED_STORAGE:
        enable_write_ahead_log(profile)
    return profile


def enable_write_ahead_log(profile: Profile) -> None:
    """Set the write-ahead log of SQLite permanently, so that readers do not block writers."""
    database = Path(profile.storage_config["filepath"]) / "database.sqlite"
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
