"""Checks of the loaded profile: configuration files, database, broker, daemon."""

from __future__ import annotations

from collections.abc import Iterator

from aiida.engine.daemon.client import DaemonException
from aiida.manage import get_manager
from aiida.manage.configuration import get_config_option, load_profile

from ..config.errors import UserError
from ..host.daemon import ensure_daemon, is_outdated
from .check_result import CheckResult, one_line
from .private import exposure_fault
from .profile import config_files


def check_services() -> Iterator[CheckResult]:
    """Check the loaded profile and yield the results; the daemon is started if necessary."""
    yield _settings()
    yield _database()
    broker = _broker()
    yield broker
    if broker.state == "failed":
        yield CheckResult("daemon", "skipped", "not checked, since the check of the broker failed")
        return
    yield _daemon()


def _settings() -> CheckResult:
    faults = [fault for fault in map(exposure_fault, config_files()) if fault is not None]
    if faults:
        return CheckResult(
            "settings", "failed", "they may contain passwords, and are accessible to others", "; ".join(faults)
        )
    return CheckResult("settings", "ok", f"profile '{load_profile().name}'; accessible only to you")


def _database() -> CheckResult:
    profile = load_profile()
    kind = "PostgreSQL" if profile.storage_backend == "core.psql_dos" else profile.storage_backend.removeprefix("core.")
    try:
        get_manager().get_profile_storage()
    except Exception as error:
        remedy = f"start its server, or see `verdi profile show {profile.name}` and `verdi storage migrate`"
        return CheckResult("database", "failed", one_line(error), remedy)
    return CheckResult("database", "ok", kind)


def _broker() -> CheckResult:
    profile = load_profile()
    if profile.process_control_backend is None:
        remedy = f"verdi profile configure-broker core.zeromq {profile.name}"
        return CheckResult(
            "broker", "failed", "the profile has no broker, so runs cannot be submitted to a daemon", remedy
        )
    if profile.process_control_backend != "core.rabbitmq":
        return CheckResult("broker", "ok", "ZeroMQ, started by the daemon")
    broker = get_manager().get_broker()
    if broker is None or not broker.check_service_reachable():
        remedy = (
            "start RabbitMQ (systemctl start rabbitmq-server), or correct host, user and password: verdi profile "
            f"configure-broker core.rabbitmq {profile.name}"
        )
        return CheckResult("broker", "failed", "RabbitMQ does not answer", remedy)
    version = broker.get_rabbitmq_version()
    if not broker.is_rabbitmq_version_supported() and get_config_option("warnings.rabbitmq_version"):
        remedy = (
            "set {rabbit, [{consumer_timeout, undefined}]} in its advanced.config, restart it, and disable the warning: "
            "verdi config set warnings.rabbitmq_version False"
        )
        return CheckResult(
            "broker", "warning", f"RabbitMQ {version} kills tasks that take longer than 30 minutes", remedy
        )
    return CheckResult("broker", "ok", f"RabbitMQ {version}")


def _daemon() -> CheckResult:
    try:
        client = ensure_daemon()
        workers = len(client.get_worker_info()["info"])
    except (UserError, DaemonException) as error:
        return CheckResult("daemon", "failed", one_line(error), "see `verdi daemon status` and `verdi daemon logshow`")
    if is_outdated(client):
        return CheckResult(
            "daemon", "warning", "it was started before this package was changed", "verdi daemon restart"
        )
    return CheckResult("daemon", "ok", f"{workers} worker{'s' if workers != 1 else ''}")
