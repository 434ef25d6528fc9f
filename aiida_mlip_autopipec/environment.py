"""What a run stands on: a profile, a computer and the portable codes, made where they are missing."""

from __future__ import annotations

import contextlib
import fcntl
import io
import shlex
import shutil
import sqlite3
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiida import orm
from aiida.common.exceptions import NotExistent
from aiida.manage.configuration import Profile, create_profile, get_config, load_profile
from aiida.manage.configuration.settings import AiiDAConfigDir
from aiida.plugins import BrokerFactory

from . import __version__
from .config.read import ConfigError
from .config.schemas.resources import ResourcesConfig
from .config.schemas.setup import ProfileConfig

PROFILE = "mlip-auto"
LOCALHOST = "localhost"
JOB_DEFAULTS = "mlip_autopipec_defaults"
"""Property of a computer: resources of the jobs there that name none themselves."""
PORTABLE = Path(__file__).parent / "portable"
PORTABLE_CODES = {
    "explore_structures": ("acecommon", "aceexplore"),
    "label_structures": (),
    "pace_train": ("acecommon", "acefit"),
    "select_structures": ("acecommon", "acefit", "aceselect"),
    "validate_potential": ("acecommon", "acevalid"),
}
"""The portable codes, and the folders that each needs beside it."""


@dataclass(frozen=True)
class Backend:
    """A plugin of AiiDA's for the storage or the broker of a profile, and its settings."""

    plugin: str
    settings: dict[str, Any]


EMBEDDED_BROKER = "core.zeromq"
EMBEDDED_STORAGE = Backend("core.sqlite_dos", {})


def embedded_broker() -> Backend:
    """Return the broker that the daemon starts itself."""
    return Backend(EMBEDDED_BROKER, BrokerFactory(EMBEDDED_BROKER).get_default_config())


def ensure_profile(name: str | None = None, *, make: bool = True) -> tuple[Profile, bool]:
    """Load a profile: the one named, else the default one, else a new one that needs no services.

    :param make: whether a new one may be made.
    :returns: the profile, and whether it was made now.
    :raises ConfigError: if there is no profile of that name, or none at all and none may be made.
    """
    with alone():
        return _ensure_profile(name, make=make)


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Keep other commands out while one makes what all would make: they wait."""
    with (Path(AiiDAConfigDir.get()) / "mlip-auto.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _ensure_profile(name: str | None, *, make: bool) -> tuple[Profile, bool]:
    config = get_config(create=True)
    if name is not None and name not in config.profile_names:
        known = ", ".join(config.profile_names) or "there is none yet: leave --profile away and one is made"
        raise ConfigError(f"there is no AiiDA profile '{name}'; known: {known}")
    if name is not None or config.default_profile_name is not None:
        return load_profile(name, allow_switch=True), False
    if config.profile_names:
        raise ConfigError(
            f"no AiiDA profile is the default one; choose by --profile from: {', '.join(config.profile_names)}"
        )
    if not make:
        raise ConfigError("there is no AiiDA profile yet: `mlip-auto run --element Cu` makes one")
    return make_profile(ProfileConfig(name=PROFILE), EMBEDDED_STORAGE, embedded_broker()), True


def make_profile(settings: ProfileConfig, storage: Backend, broker: Backend) -> Profile:
    """Make a profile and load it; it is the default one if there is none."""
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
    if config.default_profile_name is None:
        config.set_default_profile(settings.name, overwrite=True)
    config.store()
    profile = load_profile(settings.name, allow_switch=True)
    if storage == EMBEDDED_STORAGE:
        _let_readers_not_block_writers(profile)
    return profile


def _let_readers_not_block_writers(profile: Profile) -> None:
    """Set SQLite's write-ahead log, which is kept in the database: the daemon and commands work on it at the same time."""
    database = Path(profile.storage_config["filepath"]) / "database.sqlite"
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")


def ensure_computer(label: str) -> orm.Computer:
    """Return a computer; make `localhost` if it is missing.

    :raises ConfigError: if another is missing, or not configured.
    """
    try:
        with alone():
            computer = orm.load_computer(label)
    except NotExistent:
        if label == LOCALHOST:
            return _make_localhost()
        known = ", ".join(sorted(computer.label for computer in orm.Computer.collection.all())) or "none"
        raise ConfigError(
            f"there is no AiiDA computer '{label}' (known: {known}); make it by `mlip-auto setup computer FILE.yaml`, or by "
            "`verdi computer setup` and `verdi computer configure`"
        ) from None
    if not computer.is_configured:
        raise ConfigError(f"computer '{label}' is not configured: run `verdi computer configure`")
    return computer


def _make_localhost() -> orm.Computer:
    with alone():
        # Another command may have made it since.
        with contextlib.suppress(NotExistent):
            return orm.load_computer(LOCALHOST)
        return _new_localhost()


def _new_localhost() -> orm.Computer:
    workdir = Path(get_config().dirpath) / "scratch" / load_profile().name
    computer = orm.Computer(
        label=LOCALHOST,
        hostname="localhost",
        description="This machine",
        transport_type="core.local",
        scheduler_type="core.direct",
        workdir=str(workdir),
    ).store()
    computer.configure(safe_interval=0)
    computer.set_minimum_job_poll_interval(1)
    computer.set_default_mpiprocs_per_machine(1)
    return computer


def ensure_code(name: str) -> orm.PortableCode:
    """Return the portable code `name` with its files as they are in this package, storing it if it is new."""
    content = _files_of(name, *PORTABLE_CODES[name])
    query = orm.QueryBuilder().append(orm.PortableCode, filters={"label": name}, tag="code", project=["*"])
    query.order_by({"code": {"id": "desc"}})
    with alone():
        for (code,) in query.all():
            if _content_of(code) == content:
                return code
        return _new_code(name, content).store()


def ensure_pw_code(label: str) -> orm.InstalledCode | None:
    """Make the code `<name>@localhost` of the pw.x on the PATH, if there is one."""
    name, _, computer = label.partition("@")
    program = shutil.which("pw.x")
    if computer != LOCALHOST or program is None:
        return None
    return orm.InstalledCode(
        label=name,
        computer=ensure_computer(LOCALHOST),
        filepath_executable=program,
        default_calc_job_plugin="quantumespresso.pw",
        # The processes of MPI are the parallelism.
        prepend_text="export OMP_NUM_THREADS=1",
    ).store()


def _files_of(*names: str) -> dict[str, bytes]:
    """Return the content of portable programs and folders by its path; Python's own caches are none."""
    paths = [path for name in names for path in (PORTABLE / name, *(PORTABLE / name).rglob("*")) if path.is_file()]
    return {
        path.relative_to(PORTABLE).as_posix(): path.read_bytes() for path in paths if "__pycache__" not in path.parts
    }


def _content_of(code: orm.PortableCode) -> dict[str, bytes]:
    repository = code.base.repository
    return {
        str(root / name): repository.get_object_content(str(root / name), mode="rb")
        for root, _, names in repository.walk()
        for name in names
    }


def _new_code(name: str, content: dict[str, bytes]) -> orm.PortableCode:
    with warnings.catch_warnings():
        # AiiDA asks for a folder of files, and would take Python's caches along.
        warnings.simplefilter("ignore")
        code = orm.PortableCode(label=name, filepath_executable=name)
    for path, data in content.items():
        code.base.repository.put_object_from_filelike(io.BytesIO(data), path)
    code.description = f"The portable script {name} of aiida-mlip-autopipec {__version__}"
    return code


def prepare_resources(resources: ResourcesConfig) -> ResourcesConfig:
    """Return resources that jobs can be given: what they leave empty is what their computer has as default.

    :raises ConfigError: if the computer is missing or not configured.
    """
    computer = ensure_computer(resources.computer)
    defaults = computer.get_property(JOB_DEFAULTS, {})
    empty = {name: value for name, value in defaults.items() if getattr(resources, name) is None}
    return with_this_python(resources.model_copy(update=empty))


def with_this_python(resources: ResourcesConfig) -> ResourcesConfig:
    """Return resources that, on this machine, run in this Python environment unless the user's own lines choose another."""
    if resources.computer != LOCALHOST:
        return resources
    line = f"export PATH={shlex.quote(str(Path(sys.prefix) / 'bin'))}:$PATH"
    return resources.model_copy(update={"prepend_text": f"{line}\n{resources.prepend_text}".rstrip()})
