"""Checks of what AiiDA stands on here: its settings, the database, the broker, the daemon."""

from __future__ import annotations

from collections.abc import Iterator

from aiida.engine.daemon.client import DaemonException
from aiida.manage import get_manager
from aiida.manage.configuration import get_config_option, load_profile

from ..config.read import ConfigError
from ..daemon import ensure_daemon, is_outdated
from .finding import Finding, one_line
from .private import exposure
from .profile import config_files


def check_services() -> Iterator[Finding]:
    """Check the loaded profile; the daemon is started if it does not run."""
    yield _settings()
    yield _database()
    broker = _broker()
    yield broker
    if broker.state == "failed":
        yield Finding("daemon", "skipped", "it needs the broker")
        return
    yield _daemon()


def _settings() -> Finding:
    faults = [fault for fault in map(exposure, config_files()) if fault is not None]
    if faults:
        return Finding("settings", "failed", "they may hold passwords, and are not yours alone", "; ".join(faults))
    return Finding("settings", "ok", f"profile '{load_profile().name}'; nobody else can read them")


def _database() -> Finding:
    profile = load_profile()
    kind = "PostgreSQL" if profile.storage_backend == "core.psql_dos" else profile.storage_backend.removeprefix("core.")
    try:
        get_manager().get_profile_storage()
    except Exception as error:
        mend = f"start its server, or see `verdi profile show {profile.name}` and `verdi storage migrate`"
        return Finding("database", "failed", one_line(error), mend)
    return Finding("database", "ok", kind)


def _broker() -> Finding:
    profile = load_profile()
    if profile.process_control_backend is None:
        mend = f"verdi profile configure-broker core.zeromq {profile.name}"
        return Finding("broker", "failed", "the profile has none, so runs cannot be given to a daemon", mend)
    if profile.process_control_backend != "core.rabbitmq":
        return Finding("broker", "ok", "ZeroMQ, started by the daemon")
    broker = get_manager().get_broker()
    if broker is None or not broker.check_service_reachable():
        mend = (
            "start RabbitMQ (systemctl start rabbitmq-server), or correct host, user and password: verdi profile "
            f"configure-broker core.rabbitmq {profile.name}"
        )
        return Finding("broker", "failed", "RabbitMQ does not answer", mend)
    version = broker.get_rabbitmq_version()
    if not broker.is_rabbitmq_version_supported() and get_config_option("warnings.rabbitmq_version"):
        mend = (
            "set {rabbit, [{consumer_timeout, undefined}]} in its advanced.config, restart it, and tell AiiDA so: "
            "verdi config set warnings.rabbitmq_version False"
        )
        return Finding("broker", "warning", f"RabbitMQ {version} ends what takes longer than 30 minutes", mend)
    return Finding("broker", "ok", f"RabbitMQ {version}")


def _daemon() -> Finding:
    try:
        client = ensure_daemon()
        workers = len(client.get_worker_info()["info"])
    except (ConfigError, DaemonException) as error:
        return Finding("daemon", "failed", one_line(error), "see `verdi daemon status` and `verdi daemon logshow`")
    if is_outdated(client):
        return Finding("daemon", "warning", "it is older than this package", "verdi daemon restart")
    return Finding("daemon", "ok", f"{workers} worker{'s' if workers != 1 else ''}")
