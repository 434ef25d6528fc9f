"""No label is computed twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from aiida import orm
from aiida.engine import run_get_node
from ase import Atoms

from aiida_mlip_autopipec.config.schemas.oracle import AseOracleConfig
from aiida_mlip_autopipec.config.schemas.resources import ResourcesConfig
from aiida_mlip_autopipec.dataset.trajectory import frames_with_source, to_atoms, to_trajectories
from aiida_mlip_autopipec.oracle.prepare import prepare_oracle
from aiida_mlip_autopipec.oracle.workchain import LabellingWorkChain

Label = Callable[..., orm.WorkChainNode]

LENNARD_JONES = "ase.calculators.lj:LennardJones"


@pytest.fixture
def label(resources: orm.Dict) -> Label:
    """Label structures with a Lennard-Jones potential of a unique strength, so that tests do not reuse each other's labels."""

    def run(structures: list[Atoms], strength: float, reuse: bool = True, **changes: Any) -> orm.WorkChainNode:
        config = AseOracleConfig(calculator=LENNARD_JONES, parameters={"epsilon": strength, "sigma": 2.3}, **changes)
        _, node = run_get_node(
            LabellingWorkChain,
            structures=to_trajectories(structures),
            type=orm.Str("ase"),
            oracle=prepare_oracle(config, ResourcesConfig(), ["Cu"]),
            reuse=orm.Bool(reuse),
        )
        assert node.is_finished_ok, node.exit_message
        return node

    return run


def labels_of(node: orm.WorkChainNode) -> list[tuple[float, list[float]]]:
    frames = frames_with_source(node.outputs.labelled)
    return sorted((atoms.get_potential_energy(), atoms.get_forces().ravel().tolist()) for atoms in frames)


def jobs_of(node: orm.WorkChainNode) -> int:
    return sum(isinstance(called, orm.CalcJobNode) for called in node.called_descendants)


def test_existing_labels_are_not_computed_again(label: Label, copper: list[Atoms]) -> None:
    first = label(copper, 0.5)
    again = label(copper, 0.5)
    assert jobs_of(first) == 1 and jobs_of(again) == 0
    assert labels_of(again) == labels_of(first)
    report = again.outputs.report.get_dict()
    assert (report["asked"], report["labelled"], report["reused"], report["jobs"]) == (6, 6, 6, 0)


def test_only_structures_without_label_are_computed(label: Label, copper: list[Atoms]) -> None:
    label(copper[:4], 0.6)
    node = label(copper, 0.6)
    report = node.outputs.report.get_dict()
    assert (report["asked"], report["labelled"], report["reused"]) == (6, 6, 4)
    (job,) = [called for called in node.called_descendants if isinstance(called, orm.CalcJobNode)]
    assert job.outputs.report["asked"] == 2
    assert labels_of(node) == labels_of(label(copper, 0.6, reuse=False))


@pytest.mark.parametrize("change", [{"reuse": False}, {"strength": 0.75}])
def test_labels_are_not_reused_for_another_method_or_with_reuse_off(
    label: Label, copper: list[Atoms], change: dict[str, Any]
) -> None:
    label(copper[:2], 0.7)
    node = label(copper[:2], **{"strength": 0.7, **change})
    assert jobs_of(node) == 1
    assert node.outputs.report["reused"] == 0


def test_division_into_jobs_does_not_change_the_method(label: Label, copper: list[Atoms]) -> None:
    label(copper, 0.8)
    assert jobs_of(label(copper, 0.8, structures_per_job=2)) == 0


def test_slightly_different_structure_is_labelled_again(label: Label, copper: list[Atoms]) -> None:
    label(copper[1:2], 0.9)
    moved = copper[1].copy()
    moved.positions[0, 2] += 1e-4
    assert jobs_of(label([moved], 0.9)) == 1


def test_reused_label_names_the_calculation_that_computed_it(label: Label, copper: list[Atoms]) -> None:
    first = label(copper, 1.1)
    again = label(copper, 1.1)
    computed = {node.uuid for node in first.outputs.labelled.values()}
    for trajectory in again.outputs.labelled.values():
        assert trajectory.creator.process_label == "reuse_labels"
        inputs = {link.node.uuid for link in trajectory.creator.base.links.get_incoming()}
        assert inputs & computed
        for atoms in to_atoms(trajectory):
            assert orm.load_node(atoms.info["calculation"]).process_label == "AseLabelCalculation"
            source = orm.load_node(atoms.info["source_uuid"])
            wanted = to_atoms(source, [atoms.info["source_step"]])[0]
            assert np.array_equal(wanted.positions, atoms.positions)
