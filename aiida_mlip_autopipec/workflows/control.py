"""Taking hold of runs: those that are paused go on, those that failed begin again, those that are not wanted end."""

from __future__ import annotations

import time

from aiida import orm
from aiida.engine import ProcessBuilder
from aiida.engine.processes.control import kill_processes, play_processes

from ..config.read import ConfigError
from ..config.schemas.pipeline import PipelineConfig
from .builder import build_learning
from .lost import send_again, unreachable_of
from .progress import LEARNING, active_of, paused_of

RESUMES = "resumes"
"""Extra of a run that began another again: the UUID of that one."""

REPLY_SECONDS = 10.0
KILL_SECONDS = 60.0
"""How long to wait for the daemon, and for the schedulers to end jobs."""


def play(run: orm.WorkChainNode) -> list[orm.ProcessNode]:
    """Let what is paused of a run go on, and return it.

    :raises ConfigError: if the daemon does not let it.
    """
    paused = paused_of(run)
    if not paused:
        return []
    play_processes(paused, timeout=REPLY_SECONDS)
    deadline = time.monotonic() + REPLY_SECONDS
    while any(not node.is_terminated and node.paused for node in paused):
        if time.monotonic() > deadline:
            raise ConfigError(
                f"run {run.pk} is still paused: the daemon does not answer. See `verdi daemon status`, and try again after "
                "`verdi daemon restart`"
            )
        time.sleep(0.2)
    return paused


def revive(run: orm.WorkChainNode) -> list[orm.ProcessNode]:
    """Give to the daemon again what it has lost of a run, and return it; it is started anew for that."""
    if run.is_terminated:
        return []
    unreachable = unreachable_of(run)
    return send_again(unreachable) if unreachable else []


def begin_again(run: orm.WorkChainNode) -> ProcessBuilder:
    """Return the builder of a run with the same inputs as one that ended without success; learning goes on where it was.

    :raises ConfigError: if it has not ended, or has ended well.
    """
    if run.is_finished_ok:
        raise ConfigError(f"run {run.pk} is done: mlip-auto watch {run.pk} --output DIR writes its results")
    if not run.is_terminated:
        raise ConfigError(f"run {run.pk} is at work, and nothing of it is paused or lost: mlip-auto status {run.pk}")
    if run.process_label == LEARNING:
        config = PipelineConfig.model_validate(run.inputs.config.get_dict())
        return build_learning(config, validate=run.inputs.validate.value, previous=run)
    return run.get_builder_restart()


def kill(run: orm.WorkChainNode) -> None:
    """End a run and its jobs, also at their schedulers, and wait until they have.

    :raises ConfigError: if it has ended already, or something of it goes on.
    """
    if run.is_terminated:
        raise ConfigError(f"run {run.pk} has ended already ({run.process_state.value})")
    kill_processes([run], msg_text="killed by its user", timeout=KILL_SECONDS)
    deadline = time.monotonic() + KILL_SECONDS
    while active := active_of(run):
        if time.monotonic() > deadline:
            names = ", ".join(f"{node.pk} ({node.process_label})" for node in active)
            raise ConfigError(
                f"these processes of run {run.pk} have not ended yet: {names}. If their computer cannot be reached they do "
                f"once it can; see `verdi process status {run.pk}`"
            )
        time.sleep(0.2)
