"""Faults of a cluster, injected into runs whose labels and jobs are counted.

Each run ends with the potential of a run without faults; if it is paused, the reason is shown and `resume` continues it. No
label is lost, and none is computed twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ..held_run import HOLD_FIT
from ..waiting import wait_for
from .cluster import Cluster
from .inject import (
    Injection,
    cancelled,
    daemon_stopped,
    disk_full_for_jobs,
    disk_full_for_labels,
    fit_cancelled,
    killed_in,
    killed_while_fitting,
    killed_while_labelling,
    killed_while_submitting,
    node_down,
    out_of_memory,
    out_of_reach,
    over_its_walltime,
    restarted,
    tasks_lost,
)
from .modules.controlled_emt import HOLD
from .new_user import HPC, set_up
from .submitted_run import LABEL_JOBS, PER_JOB, SMALL, STRUCTURES, SubmittedRun, Submitter, open_submitter

UNDISTURBED = {"COMPLETED": LABEL_JOBS + 1}
"""Number of jobs of a run without faults, by their final state."""

SETTINGS = {
    # Seconds before AiiDA tries again to reach a cluster; the time is doubled at each attempt, to more than a minute in all. By
    # default it begins with 20 s, and takes more than five minutes in all.
    "transport.task_retry_initial_interval": "5",
    "transport.task_maximum_attempts": "5",
    "daemon.default_workers": "2",
}


@dataclass(frozen=True)
class Fault:
    """A fault, as in the table of docs/topics/reliability.md.

    :ivar inject: causes the fault, and does what a user would do to repair it.
    :ivar controls: control files that hold the run at the moment of the fault.
    :ivar jobs: number of the scheduler's jobs by their final state.
    """

    name: str
    inject: Injection
    controls: tuple[str, ...] = ()
    jobs: dict[str, int] = field(default_factory=lambda: UNDISTURBED)
    computer: str = HPC
    per_job: int = PER_JOB


def ended_by(state: str) -> dict[str, int]:
    """Return the jobs of a run of which one labelling job ended in a state: two others label the remaining structures."""
    return {"COMPLETED": LABEL_JOBS + 2, state: 1}


FAULTS = [
    Fault("worker killed in generate", killed_in("generate_structures")),
    Fault("worker killed in label", killed_while_labelling, (HOLD,)),
    Fault("worker killed in curate", killed_in("curate_labels")),
    Fault("worker killed in train", killed_while_fitting, (HOLD_FIT,)),
    # Both jobs are submitted twice, and the second ones find all work done.
    Fault("worker killed by submissions", killed_while_submitting, jobs={"COMPLETED": 4}, per_job=STRUCTURES),
    Fault("daemon stopped and started", daemon_stopped, (HOLD,)),
    Fault("tasks lost", tasks_lost, (HOLD,)),
    Fault("RabbitMQ restarted", restarted("rabbitmq"), (HOLD,)),
    Fault("SSH cut", out_of_reach("ssh"), (HOLD,)),
    Fault("slurmctld stopped", out_of_reach("slurmctld"), (HOLD,)),
    Fault("job cancelled", cancelled, (HOLD,), ended_by("CANCELLED")),
    Fault("fit cancelled", fit_cancelled, (HOLD_FIT,), {**UNDISTURBED, "CANCELLED": 1}),
    Fault("job out of memory", out_of_memory, (HOLD,), ended_by("FAILED")),
    Fault("job over its walltime", over_its_walltime, (HOLD,), ended_by("TIMEOUT")),
    Fault("node down", node_down, (HOLD,), ended_by("NODE_FAIL")),
    Fault("disk full under jobs", disk_full_for_labels, (HOLD,), computer=SMALL),
    Fault("disk full before jobs", disk_full_for_jobs, computer=SMALL),
]


IN_CI = ("worker killed in label", "SSH cut", "job out of memory")
"""The faults that CI runs: one each of a worker, of the network and of a job; the other ones are marked `slow`."""


@pytest.fixture(scope="module")
def submitter(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Submitter]:
    new_user = set_up(cluster.describe(), tmp_path_factory.mktemp("new_user"))
    new_user.accept_host_key()
    for option, value in SETTINGS.items():
        new_user.aiida.verdi("config", "set", option, value)
    with open_submitter(new_user) as opened:
        yield opened
    new_user.aiida.verdi("daemon", "stop")


def potential_of(run: SubmittedRun) -> bytes:
    """Wait for the end of a run and return its potential."""
    wait_for("end of the run", lambda: run.state() in ("finished", "excepted", "killed"))
    new_user = run.submitter.new_user
    output = new_user.home / run.pk
    new_user.mlip_auto("watch", run.pk, "--output", str(output))
    return (output / "potential.yace").read_bytes()


@pytest.fixture(scope="module")
def undisturbed(submitter: Submitter) -> bytes:
    """The potential of a run without faults."""
    run = submitter.submit("undisturbed")
    potential = potential_of(run)
    assert sorted(run.computed().values()) == [1] * STRUCTURES
    assert Counter(run.jobs().values()) == UNDISTURBED
    return potential


@pytest.mark.parametrize(
    "fault",
    [pytest.param(fault, id=fault.name, marks=() if fault.name in IN_CI else pytest.mark.slow) for fault in FAULTS],
)
def test_run_survives_a_fault(fault: Fault, submitter: Submitter, undisturbed: bytes) -> None:
    if fault.computer == SMALL and not Path(submitter.new_user.description["small"]).is_mount():
        pytest.skip("a small disk cannot be mounted on this machine")
    with submitter.suspended_workers():
        run = submitter.submit(fault.name, *fault.controls, computer=fault.computer, per_job=fault.per_job)
    fault.inject(run)
    run.release()
    assert potential_of(run) == undisturbed
    assert sorted(run.computed().values()) == [1] * STRUCTURES
    assert Counter(run.jobs().values()) == fault.jobs
