"""Control of runs: resume paused, lost and failed runs, and kill runs."""

from __future__ import annotations

import time

from aiida import orm
from aiida.engine import ProcessBuilder
from aiida.engine.processes.control import kill_processes, play_processes

from ..config.errors import UserError
from ..config.schemas.pipeline import PipelineConfig
from ..pipelines.builders import build_learning
from .lost_tasks import lost_of, resubmit
from .progress import LEARNING, active_of, paused_of

RESUMES = "resumes"
"""Extra of a run that resumes a terminated run: the UUID of that run."""

REPLY_SECONDS = 10.0
KILL_SECONDS = 60.0
"""Timeouts for an answer of the daemon, and for the schedulers to kill jobs."""


def resume_paused(run: orm.WorkChainNode) -> list[orm.ProcessNode]:
    """Resume the paused processes of a run, and return them.

    :raises UserError: if the daemon does not resume them.
    """
    paused = paused_of(run)
    if not paused:
        return []
    play_processes(paused, timeout=REPLY_SECONDS)
    deadline = time.monotonic() + REPLY_SECONDS
    while any(not node.is_terminated and node.paused for node in paused):
        if time.monotonic() > deadline:
            raise UserError(
                f"run {run.pk} is still paused: the daemon does not answer. See `verdi daemon status`, and try again "
                "after `verdi daemon restart`"
            )
        time.sleep(0.2)
    return paused


def resubmit_lost(run: orm.WorkChainNode) -> list[orm.ProcessNode]:
    """Submit the lost processes of a run to the daemon again, and return them.

    This includes jobs that are still active after the run failed, because other runs may wait for their labels.
    """
    lost = lost_of(run)
    return resubmit(lost) if lost else []


def restart_builder(run: orm.WorkChainNode) -> ProcessBuilder:
    """Return the builder of a run that repeats a failed one; active learning continues from its last round.

    :raises UserError: if the run is still active, or finished successfully.
    """
    if run.is_finished_ok:
        raise UserError(
            f"run {run.pk} has finished successfully: mlip-auto watch {run.pk} --output DIR writes its results"
        )
    if not run.is_terminated:
        raise UserError(
            f"run {run.pk} is running, and none of its processes is paused or lost: mlip-auto status {run.pk}"
        )
    if run.process_label == LEARNING:
        config = PipelineConfig.model_validate(run.inputs.config.get_dict())
        return build_learning(config, validate=run.inputs.validate.value, previous=run)
    return run.get_builder_restart()


def kill(run: orm.WorkChainNode) -> None:
    """Kill a run and its jobs, in the queues too, and wait until they have terminated.

    :raises UserError: if the run has terminated already, or a process does not terminate.
    """
    if run.is_terminated:
        raise UserError(f"run {run.pk} has ended already ({run.process_state.value})")
    kill_processes([run], msg_text="killed by its user", timeout=KILL_SECONDS)
    deadline = time.monotonic() + KILL_SECONDS
    while active := active_of(run):
        if time.monotonic() > deadline:
            names = ", ".join(f"{node.pk} ({node.process_label})" for node in active)
            raise UserError(
                f"these processes of run {run.pk} have not ended yet: {names}. If their computer cannot be reached, "
                f"they end as soon as it can; see `verdi process status {run.pk}`"
            )
        time.sleep(0.2)
