"""Provenance of a potential, from the `.yace` file back to the generator."""

from __future__ import annotations

import json

from aiida import orm

from aiida_mlip_autopipec.config.schemas.pipeline import PipelineConfig
from aiida_mlip_autopipec.provenance.queries import trace


def test_provenance_lists_processes_codes_computers_and_structures(
    finished_run: orm.WorkChainNode, small_config: PipelineConfig
) -> None:
    origin = trace(finished_run.outputs.potential)
    labels = [process.label for process in origin.processes]
    assert labels[0] == "generate_structures"
    assert labels[-1].startswith("ShellJob<pace_train")
    jobs = next(process for process in origin.processes if process.label == "AseLabelCalculation")
    assert jobs.count == finished_run.outputs.oracle_report["jobs"]
    assert jobs.computers == ("localhost",)
    assert [code.split()[0] for code in origin.codes] == ["label_structures", "pace_train"]
    assert origin.n_structures_generated == small_config.generator.count
    assert origin.settings["AseLabelCalculation"]["calculator"] == "emt"
    generated = {node.uuid for node in finished_run.outputs.structures.values()}
    assert generated <= set(origin.structures)


def test_provenance_can_be_written_as_json(finished_run: orm.WorkChainNode) -> None:
    content = json.loads(json.dumps(trace(finished_run.outputs.potential).as_dict()))
    assert content["potential"] == finished_run.outputs.potential.uuid


def test_node_without_creator_has_no_provenance(finished_run: orm.WorkChainNode) -> None:
    origin = trace(orm.Dict({"a": 1}).store())
    assert origin.processes == ()
    assert origin.n_structures_generated == 0
