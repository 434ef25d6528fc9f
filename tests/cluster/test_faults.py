"""What can go wrong on a cluster, done to runs of which every label and every job is counted.

Whatever happens, the run ends with the potential of one to which nothing happened, or stops saying why and goes on when told
to; no label is lost, and none is computed twice.
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
from .modules.told_emt import HOLD
from .newcomer import HPC, set_up
from .strikes import (
    Strike,
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
from .victim import LABEL_JOBS, PER_JOB, SMALL, STRUCTURES, Range, Victim, open_range

UNDISTURBED = {"COMPLETED": LABEL_JOBS + 1}
"""Jobs of a run to which nothing happens, by what became of them."""

SETTINGS = {
    # AiiDA waits as long before it tries again to reach a cluster, then twice as long, and so on: longer than a minute, and
    # by default, from 20 s on, than five.
    "transport.task_retry_initial_interval": "5",
    "transport.task_maximum_attempts": "5",
    "daemon.default_workers": "2",
}


@dataclass(frozen=True)
class Fault:
    """A line of the table.

    :ivar strike: does it, and what a person would do to put it right.
    :ivar orders: what the run is told, so that it is there at the moment when it is hit.
    :ivar jobs: the scheduler's jobs in the end, by what became of them.
    """

    name: str
    strike: Strike
    orders: tuple[str, ...] = ()
    jobs: dict[str, int] = field(default_factory=lambda: UNDISTURBED)
    computer: str = HPC
    per_job: int = PER_JOB


def ended_by(state: str) -> dict[str, int]:
    """Return the jobs of a run of which one labelling job was ended so: two others do what it left."""
    return {"COMPLETED": LABEL_JOBS + 2, state: 1}


FAULTS = [
    Fault("worker killed in generate", killed_in("generate_structures")),
    Fault("worker killed in label", killed_while_labelling, (HOLD,)),
    Fault("worker killed in curate", killed_in("curate_labels")),
    Fault("worker killed in train", killed_while_fitting, (HOLD_FIT,)),
    # Both jobs are submitted twice, and the second ones find all done.
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
"""The faults that are not slow: one of a worker, one of the network, one of a job."""


@pytest.fixture(scope="module")
def range_(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Range]:
    newcomer = set_up(cluster.describe(), tmp_path_factory.mktemp("newcomer"))
    newcomer.accept_host_key()
    for option, value in SETTINGS.items():
        newcomer.aiida.verdi("config", "set", option, value)
    with open_range(newcomer) as opened:
        yield opened
    newcomer.aiida.verdi("daemon", "stop")


def potential_of(victim: Victim) -> bytes:
    """Wait for the end of a run and return its potential."""
    wait_for("end of the run", lambda: victim.state() in ("finished", "excepted", "killed"))
    newcomer = victim.range.newcomer
    output = newcomer.home / victim.pk
    newcomer.mlip_auto("watch", victim.pk, "--output", str(output))
    return (output / "potential.yace").read_bytes()


@pytest.fixture(scope="module")
def undisturbed(range_: Range) -> bytes:
    """The potential of a run to which nothing happens."""
    victim = range_.submit("undisturbed")
    potential = potential_of(victim)
    assert sorted(victim.computed().values()) == [1] * STRUCTURES
    assert Counter(victim.jobs().values()) == UNDISTURBED
    return potential


@pytest.mark.parametrize(
    "fault",
    [pytest.param(fault, id=fault.name, marks=() if fault.name in IN_CI else pytest.mark.slow) for fault in FAULTS],
)
def test_run_survives_a_fault(fault: Fault, range_: Range, undisturbed: bytes) -> None:
    if fault.computer == SMALL and not Path(range_.newcomer.description["small"]).is_mount():
        pytest.skip("this machine lets no small disk be mounted")
    with range_.standstill():
        victim = range_.submit(fault.name, *fault.orders, computer=fault.computer, per_job=fault.per_job)
    fault.strike(victim)
    victim.release()
    assert potential_of(victim) == undisturbed
    assert sorted(victim.computed().values()) == [1] * STRUCTURES
    assert Counter(victim.jobs().values()) == fault.jobs
