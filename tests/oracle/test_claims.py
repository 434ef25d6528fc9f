"""Structures are claimed before they are labelled, so that simultaneous runs compute each label once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiida import orm
from aiida.common.links import LinkType
from aiida.engine import ProcessState, run_get_node, submit
from aiida.engine.daemon.client import DaemonClient
from aiida.engine.processes.control import kill_processes
from aiida.manage.configuration import Profile
from aiida.tools import delete_nodes
from ase import Atoms

from aiida_mlip_autopipec.config.schemas.oracle import AseOracleConfig
from aiida_mlip_autopipec.config.schemas.resources import ResourcesConfig
from aiida_mlip_autopipec.dataset.frame_files import count_structures
from aiida_mlip_autopipec.dataset.identity import method_id, structure_key
from aiida_mlip_autopipec.dataset.trajectory import to_trajectories
from aiida_mlip_autopipec.host.daemon import ensure_daemon
from aiida_mlip_autopipec.oracle.calculation import AseLabelCalculation
from aiida_mlip_autopipec.oracle.claims import PROGRESS, claim, owners, release, set_claim
from aiida_mlip_autopipec.oracle.prepare import prepare_oracle
from aiida_mlip_autopipec.oracle.workchain import LabellingWorkChain
from aiida_mlip_autopipec.runs.progress import labels_stage

from ..conftest import leave_broker
from ..waiting import PATIENCE, wait_for
from .conftest import ROOT, dimers

CLAIM_MANY = """
import json, sys, time
from pathlib import Path
from aiida import load_profile, orm
from aiida.engine import ProcessState
from aiida_mlip_autopipec.oracle.claims import claim

load_profile(sys.argv[1])
folder, name = Path(sys.argv[2]), sys.argv[3]
nodes = [orm.WorkChainNode().store() for _ in range(5)]
for node in nodes:
    node.set_process_state(ProcessState.WAITING)
(folder / name).touch()
while not (folder / "go").exists():
    time.sleep(0.001)
taken = [sorted(claim(node, f"method{number}", [f"key{key}" for key in range(20)])) for number, node in enumerate(nodes)]
print(json.dumps([20 - len(others) for others in taken]))
"""


@pytest.fixture
def active(aiida_profile: Profile) -> Iterator[Callable[..., Any]]:
    """Create active process nodes; they are marked as finished at the end of the test."""
    nodes = []

    def make(node: orm.ProcessNode | None = None, caller: orm.WorkChainNode | None = None) -> orm.ProcessNode:
        node = node or orm.WorkChainNode()
        if caller is not None:
            node.base.links.add_incoming(caller, LinkType.CALL_CALC, "job")
        node.store()
        node.set_process_state(ProcessState.WAITING)
        nodes.append(node)
        return node

    yield make
    for node in nodes:
        node.set_process_state(ProcessState.KILLED)


def test_one_of_several_simultaneous_processes_claims_each_structure(aiida_profile: Profile, tmp_path: Path) -> None:
    names = [f"process{number}" for number in range(4)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", CLAIM_MANY, aiida_profile.name, str(tmp_path)]
    processes = [
        subprocess.Popen([*command, name], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for name in names
    ]
    wait_for(
        "start", lambda: all((tmp_path / name).exists() or p.poll() for name, p in zip(names, processes, strict=True))
    )
    (tmp_path / "go").touch()
    got = []
    for process in processes:
        output, error = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, error
        got.append(json.loads(output.splitlines()[-1]))
    assert [sorted(of_method) for of_method in zip(*got, strict=True)] == [[0, 0, 0, 20]] * 5


def test_a_claim_ends_with_its_process(active: Callable[..., Any]) -> None:
    first, second = active(), active()
    assert claim(first, "ends", ["a", "b"]) == {}
    assert claim(second, "ends", ["b", "c"]) == {"b": first.pk}
    assert claim(second, "another method", ["b"]) == {}
    assert owners("ends", [first.pk], ["b"]) == {first.pk}
    for state in (ProcessState.KILLED, ProcessState.EXCEPTED, ProcessState.FINISHED):
        first.set_process_state(state)
        assert owners("ends", [first.pk], ["b"]) == set()
    first.set_process_state(ProcessState.WAITING)
    release(first)
    assert claim(second, "ends", ["b"]) == {}


def test_a_claim_ends_when_its_node_is_deleted(active: Callable[..., Any]) -> None:
    first, second = orm.WorkChainNode().store(), active()
    first.set_process_state(ProcessState.WAITING)
    assert claim(first, "deleted", ["a"]) == {}
    delete_nodes([first.pk], dry_run=False)
    assert claim(second, "deleted", ["a"]) == {}


def test_claim_of_a_job_remains_valid_if_its_run_failed(active: Callable[..., Any]) -> None:
    run = active()
    job = active(orm.CalcJobNode(), caller=run)
    claim(run, "job", ["a", "b"])
    set_claim(job, "job", ["a"])
    run.set_process_state(ProcessState.EXCEPTED)
    assert claim(active(), "job", ["a", "b"]) == {"a": job.pk}


def computed(node: orm.WorkChainNode) -> list[str]:
    """Return the keys of all structures that jobs have labelled with the method of a labelling."""
    query = orm.QueryBuilder().append(
        orm.CalcJobNode, filters={"attributes.process_label": "AseLabelCalculation"}, tag="job"
    )
    filters = {"attributes.method_id": method_id(node.inputs.oracle.method.get_dict())}
    query.append(orm.TrajectoryData, with_incoming="job", filters=filters, project=["attributes.structure_keys"])
    return [key for keys in query.all(flat=True) for key in keys]


@pytest.fixture(scope="module")
def daemon(aiida_profile: Profile) -> Iterator[DaemonClient]:
    """A daemon with two workers."""
    client = ensure_daemon()
    leave_broker()
    client.increase_workers(1)
    yield client
    client.stop_daemon(wait=True, timeout=round(PATIENCE))


class Labellings:
    """Labellings by the daemon, of dimers used in no other test; they continue when the file `barrier` exists."""

    def __init__(self, folder: Path) -> None:
        self.barrier = folder / "barrier"
        self.config = AseOracleConfig(
            calculator="tests.oracle.faulty:WaitingEMT",
            parameters={"url": f"file://{self.barrier}"},
            structures_per_job=2,
        )
        self.structures = dimers(Atoms("Cu2", cell=[15, 15, 15], positions=[[7, 7, 7], [7, 7, 9]]), 6)
        self.nodes: list[orm.WorkChainNode] = []

    def submit(self, *numbers: int) -> orm.WorkChainNode:
        resources = ResourcesConfig(prepend_text=f"export PYTHONPATH={ROOT}")
        node = submit(
            LabellingWorkChain,
            structures=to_trajectories([self.structures[number] for number in numbers]),
            type=orm.Str("ase"),
            oracle=prepare_oracle(self.config, resources, ["Cu"]),
        )
        self.nodes.append(node)
        return node


@pytest.fixture
def labellings(daemon: DaemonClient, resources: orm.Dict, tmp_path: Path) -> Iterator[Labellings]:
    """Labellings; those still active at the end of the test are killed."""
    made = Labellings(tmp_path)
    yield made
    made.barrier.touch()
    if alive := [node for node in made.nodes if not node.is_terminated]:
        kill_processes(alive, timeout=PATIENCE)


def awaited_by(node: orm.WorkChainNode) -> list[int]:
    return list(node.base.extras.get(PROGRESS, {"waiting_for": []})["waiting_for"])


def has_running_job(node: orm.WorkChainNode) -> bool:
    return any(
        child.process_class is AseLabelCalculation and child.get_scheduler_state() is not None
        for child in node.called_descendants
        if isinstance(child, orm.CalcJobNode)
    )


def test_three_simultaneous_runs_compute_each_label_once(labellings: Labellings) -> None:
    wanted = [(0, 1, 2, 3), (2, 3, 4, 5), (0, 1, 2, 3, 4, 5)]
    nodes = [labellings.submit(*numbers) for numbers in wanted]
    wait_for("two of them compute", lambda: sum(map(has_running_job, nodes)) >= 2)
    wait_for("the third has nothing to compute", lambda: any(map(awaited_by, nodes)))
    labellings.barrier.touch()
    wait_for("all end", lambda: all(node.is_terminated for node in nodes))
    for node, numbers in zip(nodes, wanted, strict=True):
        assert node.is_finished_ok, node.exit_message
        assert count_structures(node.outputs.labelled) == len(numbers) == node.outputs.report["labelled"]
    assert sorted(computed(nodes[0])) == sorted(map(structure_key, labellings.structures))


def test_run_continues_when_the_run_that_it_waits_for_is_killed(labellings: Labellings) -> None:
    first = labellings.submit(0, 1)
    wait_for("the first computes", lambda: has_running_job(first))
    second = labellings.submit(0, 1)
    wait_for("the second waits", lambda: awaited_by(second))
    assert awaited_by(second) == [first.pk]
    stage = labels_stage(second)
    assert stage.detail == f"0 of 2 labelled; waiting for run {first.pk}, which computes the others"
    assert second.process_status == f"Waiting for labels that run {first.pk} computes"
    kill_processes([first], timeout=PATIENCE)
    labellings.barrier.touch()
    wait_for("the second ends", lambda: second.is_terminated)
    assert second.is_finished_ok, second.exit_message
    assert count_structures(second.outputs.labelled) == 2 and second.outputs.report["reused"] == 0


def test_equal_structures_of_one_labelling_are_computed_once(resources: orm.Dict, copper: list[Atoms]) -> None:
    config = AseOracleConfig(calculator="ase.calculators.lj:LennardJones", parameters={"epsilon": 0.31, "sigma": 2.3})
    _, node = run_get_node(
        LabellingWorkChain,
        structures=to_trajectories([*copper[1:3], *copper[1:3], copper[1]]),
        type=orm.Str("ase"),
        oracle=prepare_oracle(config, ResourcesConfig(), ["Cu"]),
    )
    assert node.is_finished_ok, node.exit_message
    assert count_structures(node.outputs.labelled) == 5
    assert (node.outputs.report["labelled"], node.outputs.report["reused"]) == (5, 3)
    assert len(computed(node)) == 2


def test_labels_and_running_jobs_are_found_although_their_callers_failed(labellings: Labellings) -> None:
    """The callers of a job release their claims, as if they had failed; another labelling waits for the job alone."""
    labellings.barrier.touch()
    first = labellings.submit(0, 1)
    wait_for("the first labels exist", lambda: first.is_terminated)
    labellings.barrier.unlink()
    second = labellings.submit(0, 1, 2, 3)
    wait_for("the other labels are being computed", lambda: has_running_job(second))
    (job,) = [node for node in second.called_descendants if isinstance(node, orm.CalcJobNode)]
    release(second)
    release(job.caller)
    identity, keys = (
        method_id(second.inputs.oracle.method.get_dict()),
        [structure_key(atoms) for atoms in labellings.structures],
    )
    assert owners(identity, [second.pk, job.pk], keys) == {job.pk}
    third = labellings.submit(0, 1, 2, 3)
    wait_for("the third waits for the job", lambda: awaited_by(third))
    labellings.barrier.touch()
    wait_for("the third ends", lambda: third.is_terminated)
    assert third.is_finished_ok and third.outputs.report["reused"] == 4
    assert sorted(computed(third)) == sorted(keys[:4])
