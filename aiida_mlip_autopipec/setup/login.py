"""Checks of a computer: keys, login, work folder, scheduler, and the Python that jobs find there."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from aiida import orm
from aiida.transports import Transport

from ..config.read import ConfigError
from ..config.schemas.resources import ResourcesConfig
from ..environment import JOB_DEFAULTS
from .finding import Finding, one_line
from .private import exposure
from .ssh import keys_of

PROBES = {
    "oracle": "import ase; print('ase', ase.__version__)",
    "trainer": "import pyace, ruamel.yaml; from importlib.metadata import version as v; print('python-ace', v('python-ace'))",
}
"""What the Python of a stage must be able to do."""

INSTALL = {
    "oracle": "pip install ase, and the calculator",
    "trainer": "pip install 'python-ace>=0.4.0rc1'",
}
_OVER_SSH = ("core.ssh", "core.ssh_async")


def check_computer(computer: orm.Computer, stages: dict[str, ResourcesConfig]) -> Iterator[Finding]:
    """Check a computer from its keys to the Python of the stages that run there."""
    if computer.transport_type in _OVER_SSH:
        keys = _keys(computer)
        yield keys
        if keys.state == "failed":
            yield Finding("login", "skipped", "not tried with such a key")
            return
    try:
        with computer.get_transport() as transport:
            yield Finding("login", "ok", f"{transport.whoami()} on {computer.hostname}")
            for name, check in {"silence": _silence, "work folder": _work_folder, "scheduler": _scheduler}.items():
                yield _tried(name, check, computer, transport)
            for stage, resources in stages.items():
                yield _python(computer, transport, stage, resources)
    except Exception as error:
        yield Finding("login", "failed", one_line(error), _mend_login(computer, error))


def _keys(computer: orm.Computer) -> Finding:
    host = computer.get_configuration().get("host") or computer.hostname
    try:
        keys = keys_of(host)
    except ConfigError as error:
        return Finding("keys", "warning", str(error))
    faults = [fault for fault in map(exposure, keys) if fault is not None]
    if faults:
        return Finding("keys", "failed", "not yours alone", "; ".join(faults))
    names = ", ".join(map(str, keys)) or "those of the agent (SSH_AUTH_SOCK), which the daemon must find too"
    return Finding("keys", "ok", names)


def _mend_login(computer: orm.Computer, error: Exception) -> str:
    host = computer.get_configuration().get("host") or computer.hostname
    text = str(error)
    if "ost key" in text:
        return f"run `ssh {host}` once, compare the fingerprint with the one your centre publishes, and accept it"
    if "ermission denied" in text:
        return f"let it know your key: `ssh-copy-id {host}`; what it says of user and key: `ssh -v {host}`"
    if "passphrase" in text:
        return "load the key into an agent (`ssh-add`), and start the daemon where SSH_AUTH_SOCK is set"
    return f"see whether `ssh {host}` works: name of the host, port, network, VPN"


def _tried(
    name: str, check: Callable[[orm.Computer, Transport], Finding], computer: orm.Computer, transport: Transport
) -> Finding:
    try:
        return check(computer, transport)
    except Exception as error:
        mends = {
            "work folder": f"{computer.get_workdir()} must be yours to write to; another one: `mlip-auto setup computer "
            "FILE.yaml --overwrite`",
            "scheduler": f"the commands of {computer.scheduler_type} must be found by a login without a terminal "
            "(PATH in ~/.bash_profile)",
        }
        return Finding(name, "failed", one_line(error), mends.get(name, ""))


def _silence(computer: orm.Computer, transport: Transport) -> Finding:
    _, stdout, stderr = transport.exec_command_wait("true")
    if stdout or stderr:
        said = " ".join(f"{stdout}{stderr}".split())[:100]
        return Finding("silence", "failed", f"a login prints: {said}", "let ~/.bashrc print only at a terminal")
    return Finding("silence", "ok", "a login prints nothing of its own")


def _work_folder(computer: orm.Computer, transport: Transport) -> Finding:
    folder = computer.get_workdir().format(username=transport.whoami())
    transport.makedirs(folder, ignore_existing=True)
    there = PurePosixPath(folder) / f".mlip-auto-{uuid.uuid4().hex}"
    with tempfile.TemporaryDirectory() as here:
        sent, back = Path(here) / "sent", Path(here) / "back"
        sent.write_text(there.name)
        transport.putfile(str(sent), str(there))
        transport.getfile(str(there), str(back))
        transport.remove(str(there))
        if back.read_text() != there.name:
            raise OSError(f"a file comes back from {folder} other than it was sent")
    return Finding("work folder", "ok", folder)


def _scheduler(computer: orm.Computer, transport: Transport) -> Finding:
    scheduler = computer.get_scheduler()
    scheduler.set_transport(transport)
    jobs: Any = scheduler.get_jobs(as_dict=True)
    defaults = "".join(f", {name} {value}" for name, value in computer.get_property(JOB_DEFAULTS, {}).items())
    return Finding("scheduler", "ok", f"{computer.scheduler_type.removeprefix('core.')}, {len(jobs)} jobs{defaults}")


def _python(computer: orm.Computer, transport: Transport, stage: str, resources: ResourcesConfig) -> Finding:
    """Try the Python that a job of a stage would find, after the same shell lines."""
    lines = [computer.get_prepend_text(), resources.prepend_text, f'python3 -c "{PROBES[stage]}"']
    status, stdout, stderr = transport.exec_command_wait("\n".join(line for line in lines if line))
    name = f"Python of the {stage}"
    if status == 0:
        return Finding(name, "ok", stdout.strip().splitlines()[-1])
    last = (stderr.strip().splitlines() or [f"status {status}"])[-1]
    mend = (
        f"in an environment there: {INSTALL[stage]}; and name it in `environment` of the computer, or in "
        f"resources.{stage}.prepend_text of a config: source ENVIRONMENT/bin/activate"
    )
    return Finding(name, "failed", last, mend)
