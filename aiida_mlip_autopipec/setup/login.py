"""Checks of a computer: keys, login, work folder, scheduler, and the Python of jobs."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from aiida import orm
from aiida.transports import Transport

from ..config.errors import UserError
from ..config.schemas.resources import ResourcesConfig
from ..host.computers import JOB_DEFAULTS
from .check_result import CheckResult, one_line
from .private import exposure_fault
from .ssh import private_keys

_ASE = "import ase; print('ase', ase.__version__)"
_INSTALL_ASE = "pip install ase, and the calculator"

PROBES = {
    "oracle": _ASE,
    "teacher": _ASE,
    "trainer": "import pyace, ruamel.yaml; from importlib.metadata import version as v; print('python-ace', v('python-ace'))",
}
"""Code that the Python of a stage must be able to run."""

INSTALL = {
    "oracle": _INSTALL_ASE,
    "teacher": _INSTALL_ASE,
    "trainer": "pip install 'python-ace>=0.4.0rc1'",
}
"""How to install what the Python of a stage lacks."""

_OVER_SSH = ("core.ssh", "core.ssh_async")


def check_computer(computer: orm.Computer, stages: dict[str, ResourcesConfig]) -> Iterator[CheckResult]:
    """Check a computer, from its keys to the Python of its stages, and yield the results."""
    if computer.transport_type in _OVER_SSH:
        keys = _keys(computer)
        yield keys
        if keys.state == "failed":
            yield CheckResult("login", "skipped", "not tried, since the check of the keys failed")
            return
    try:
        with computer.get_transport() as transport:
            yield CheckResult("login", "ok", f"{transport.whoami()} on {computer.hostname}")
            for name, check in {
                "login output": _login_output,
                "work folder": _work_folder,
                "scheduler": _scheduler,
            }.items():
                yield _run_check(name, check, computer, transport)
            for stage, resources in stages.items():
                yield _python(computer, transport, stage, resources)
    except Exception as error:
        yield CheckResult("login", "failed", one_line(error), _login_remedy(computer, error))


def _keys(computer: orm.Computer) -> CheckResult:
    host = computer.get_configuration().get("host") or computer.hostname
    try:
        keys = private_keys(host)
    except UserError as error:
        return CheckResult("keys", "warning", str(error))
    faults = [fault for fault in map(exposure_fault, keys) if fault is not None]
    if faults:
        return CheckResult("keys", "failed", "accessible to others", "; ".join(faults))
    names = ", ".join(map(str, keys)) or "those of the SSH agent; the daemon must have its SSH_AUTH_SOCK, too"
    return CheckResult("keys", "ok", names)


def _login_remedy(computer: orm.Computer, error: Exception) -> str:
    host = computer.get_configuration().get("host") or computer.hostname
    text = str(error)
    if "ost key" in text:
        return f"run `ssh {host}` once, compare the fingerprint with that published by your centre, and accept it"
    if "ermission denied" in text:
        return f"install your key: `ssh-copy-id {host}`; for details of user and key: `ssh -v {host}`"
    if "passphrase" in text:
        return "load the key into an agent (`ssh-add`), and start the daemon where SSH_AUTH_SOCK is set"
    return f"check that `ssh {host}` works: name of the host, port, network, VPN"


def _run_check(
    name: str, check: Callable[[orm.Computer, Transport], CheckResult], computer: orm.Computer, transport: Transport
) -> CheckResult:
    try:
        return check(computer, transport)
    except Exception as error:
        remedies = {
            "work folder": f"{computer.get_workdir()} must be writable; to change it: `mlip-auto setup computer "
            "FILE.yaml --overwrite`",
            "scheduler": f"the commands of {computer.scheduler_type} must be found by a login without a terminal "
            "(PATH in ~/.bash_profile)",
        }
        return CheckResult(name, "failed", one_line(error), remedies.get(name, ""))


def _login_output(computer: orm.Computer, transport: Transport) -> CheckResult:
    _, stdout, stderr = transport.exec_command_wait("true")
    if stdout or stderr:
        output = " ".join(f"{stdout}{stderr}".split())[:100]
        return CheckResult(
            "login output", "failed", f"a login prints: {output}", "let ~/.bashrc print only at a terminal"
        )
    return CheckResult("login output", "ok", "none")


def _work_folder(computer: orm.Computer, transport: Transport) -> CheckResult:
    folder = computer.get_workdir().format(username=transport.whoami())
    transport.makedirs(folder, ignore_existing=True)
    remote = PurePosixPath(folder) / f".mlip-auto-{uuid.uuid4().hex}"
    with tempfile.TemporaryDirectory() as here:
        sent, back = Path(here) / "sent", Path(here) / "back"
        sent.write_text(remote.name)
        transport.putfile(str(sent), str(remote))
        transport.getfile(str(remote), str(back))
        transport.remove(str(remote))
        if back.read_text() != remote.name:
            raise OSError(f"a file copied to {folder} and back has changed")
    return CheckResult("work folder", "ok", folder)


def _scheduler(computer: orm.Computer, transport: Transport) -> CheckResult:
    scheduler = computer.get_scheduler()
    scheduler.set_transport(transport)
    jobs: Any = scheduler.get_jobs(as_dict=True)
    defaults = "".join(f", {name} {value}" for name, value in computer.get_property(JOB_DEFAULTS, {}).items())
    return CheckResult(
        "scheduler", "ok", f"{computer.scheduler_type.removeprefix('core.')}, {len(jobs)} jobs{defaults}"
    )


def _python(computer: orm.Computer, transport: Transport, stage: str, resources: ResourcesConfig) -> CheckResult:
    """Run the Python of a stage, after the same shell lines as in a job."""
    lines = [computer.get_prepend_text(), resources.prepend_text, f'python3 -c "{PROBES[stage]}"']
    status, stdout, stderr = transport.exec_command_wait("\n".join(line for line in lines if line))
    name = f"Python of the {stage}"
    if status == 0:
        return CheckResult(name, "ok", stdout.strip().splitlines()[-1])
    last = (stderr.strip().splitlines() or [f"status {status}"])[-1]
    remedy = (
        f"in an environment on the computer: {INSTALL[stage]}; activate it in `environment` of the computer, or in "
        f"resources.{stage}.prepend_text of a config: source ENVIRONMENT/bin/activate"
    )
    return CheckResult(name, "failed", last, remedy)
