"""The ASE oracle as real processes: each structure is labelled once or reported with a reason."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiida import orm
from aiida.engine import run_get_node
from ase import Atoms
from ase.build import bulk

from aiida_mlip_autopipec.config.schemas.oracle import AseOracleConfig
from aiida_mlip_autopipec.dataset.trajectory import METHOD, frames_with_source, to_atoms, to_trajectories
from aiida_mlip_autopipec.oracle.ase import AseOracleWorkChain
from aiida_mlip_autopipec.oracle.batches import batch_frames, make_batches

from ..conftest import WALLTIMES
from .conftest import FAULTY, ROOT, dimers


def run_oracle(
    structures: list[Atoms], resources: orm.Dict, code: orm.PortableCode, **settings: Any
) -> tuple[Mapping[str, Any], orm.WorkChainNode]:
    config = AseOracleConfig(**settings)
    return run_get_node(
        AseOracleWorkChain,
        structures=to_trajectories(structures),
        settings=orm.Dict(config.model_dump(mode="json")),
        method=orm.Dict(config.method()),
        resources=resources,
        code=code,
    )


@pytest.fixture
def faulty_resources(resources: orm.Dict) -> orm.Dict:
    """Resources in whose jobs the faulty calculators can be imported."""
    content = resources.get_dict()
    content["prepend_text"] += f"\nexport PYTHONPATH={ROOT}"
    return orm.Dict(content)


def test_all_structures_are_labelled_and_name_their_source(
    copper: list[Atoms], labelled_copper: list[Atoms], resources: orm.Dict, label_code: orm.PortableCode
) -> None:
    outputs, node = run_oracle(copper, resources, label_code, structures_per_job=4)
    assert node.is_finished_ok, node.exit_message
    report = outputs["report"].get_dict()
    assert (report["asked"], report["labelled"], report["failed"], report["jobs"]) == (6, 6, [], 2)

    expected = {atoms.get_potential_energy(): atoms for atoms in labelled_copper}
    labelled = outputs["labelled"]
    frames = frames_with_source(labelled)
    assert len(frames) == 6
    for atoms in frames:
        reference = expected.pop(atoms.get_potential_energy())
        assert np.array_equal(atoms.get_forces(), reference.get_forces())
    for trajectory in labelled.values():
        assert trajectory.base.attributes.get(METHOD)["calculator"] == "emt"
        assert trajectory.creator.process_label == "AseLabelCalculation"
        for atoms in to_atoms(trajectory):
            source = orm.load_node(atoms.info["source_uuid"])
            assert np.array_equal(to_atoms(source, [atoms.info["source_step"]])[0].positions, atoms.positions)


@pytest.mark.parametrize(("fault", "kind"), [("exception", "exception"), ("nan", "non_finite"), ("segfault", "crash")])
def test_failing_structure_is_reported_and_the_others_are_labelled(
    copper: list[Atoms], faulty_resources: orm.Dict, label_code: orm.PortableCode, fault: str, kind: str
) -> None:
    settings = {"calculator": FAULTY, "parameters": {"faults": {"2": fault}}, "max_failed_fraction": 0.2}
    outputs, node = run_oracle(copper, faulty_resources, label_code, **settings)
    assert node.is_finished_ok, node.exit_message
    report = outputs["report"].get_dict()
    assert report["labelled"] == 5
    (failure,) = report["failed"]
    assert (failure["label"], failure["step"], failure["family"], failure["kind"]) == ("Cu2_000", 0, "dimer", kind)
    assert orm.load_node(failure["calculation"]).process_label == "AseLabelCalculation"


def test_too_many_failed_labels_are_an_error_that_keeps_the_other_labels(
    copper: list[Atoms], faulty_resources: orm.Dict, label_code: orm.PortableCode
) -> None:
    settings = {"calculator": FAULTY, "parameters": {"faults": {"2": "exception"}}, "max_failed_fraction": 0.1}
    outputs, node = run_oracle(copper, faulty_resources, label_code, **settings)
    assert node.exit_status == AseOracleWorkChain.exit_codes.ERROR_TOO_MANY_FAILURES.status
    assert "1 of 6" in node.exit_message
    assert "SCF did not converge" in node.exit_message
    assert len(frames_with_source(outputs["labelled"])) == 5


def test_killed_job_keeps_its_labels_and_another_job_labels_the_rest(
    copper: list[Atoms], faulty_resources: orm.Dict, label_code: orm.PortableCode
) -> None:
    settings = {
        "calculator": FAULTY,
        "parameters": {"faults": {"4": "kill_job"}},
        "max_failed_fraction": 0.2,
        "max_attempts": 2,
    }
    outputs, node = run_oracle(copper, faulty_resources, label_code, **settings)
    assert node.is_finished_ok, node.exit_message
    report = outputs["report"].get_dict()
    assert report["labelled"] == 5
    (failure,) = report["failed"]
    assert (failure["label"], failure["kind"]) == ("Cu4_111", "job_failed")

    first_job = min(node.called, key=lambda called: called.pk)
    assert first_job.exit_status == first_job.process_class.exit_codes.ERROR_INTERRUPTED.status
    assert first_job.outputs.report["labelled"] > 0
    frames = frames_with_source(outputs["labelled"])
    assert len({(atoms.info["family"], atoms.get_potential_energy()) for atoms in frames}) == 5


def test_job_at_its_walltime_keeps_its_labels_and_another_job_labels_the_rest(
    copper: list[Atoms], faulty_resources: orm.Dict, label_code: orm.PortableCode, tmp_path: Path
) -> None:
    # In the order of their labels, the dimers come first.
    structures = [*dimers(copper[1], 4), copper[0]]
    for walltime in WALLTIMES:
        limited = orm.Dict({**faulty_resources.get_dict(), "walltime": walltime})
        parameters = {"faults": {"1": "hang once"}, "marker": str(tmp_path / f"hung {walltime}")}
        outputs, node = run_oracle(structures, limited, label_code, calculator=FAULTY, parameters=parameters)
        jobs = sorted((called for called in node.called if isinstance(called, orm.CalcJobNode)), key=lambda job: job.pk)
        if "report" in jobs[0].outputs and jobs[0].outputs.report["labelled"]:
            break
    assert node.is_finished_ok, node.exit_message
    assert len(jobs) >= 2
    assert jobs[0].exit_status == jobs[0].process_class.exit_codes.ERROR_OUT_OF_WALLTIME.status
    assert jobs[0].outputs.report["labelled"] == 4
    energies = [atoms.get_potential_energy() for atoms in frames_with_source(outputs["labelled"])]
    assert len(energies) == len(set(energies)) == 5


def test_next_job_is_submitted_when_one_ends_while_another_runs(
    copper: list[Atoms], faulty_resources: orm.Dict, label_code: orm.PortableCode, tmp_path: Path
) -> None:
    crystals = [bulk("Cu", a=3.5 + 0.05 * number) for number in range(4)]
    # The dimer is the largest, so its job is the first; it ends after all others.
    structures = [*dimers(copper[1], 1), *crystals]
    _, node = run_oracle(
        structures,
        faulty_resources,
        label_code,
        calculator="tests.oracle.faulty:LastEMT",
        parameters={"url": f"file://{tmp_path}", "others": 4},
        structures_per_job=1,
        max_concurrent_jobs=2,
    )
    assert node.is_finished_ok, node.exit_message
    jobs = sorted((job for job in node.called if isinstance(job, orm.CalcJobNode)), key=lambda job: int(job.pk))
    assert len(jobs) == 5
    assert all(job.exit_status == 0 for job in jobs)


def test_structures_of_a_job_that_never_starts_fail_after_max_attempts(
    copper: list[Atoms], resources: orm.Dict, label_code: orm.PortableCode
) -> None:
    content = resources.get_dict()
    nowhere = orm.Dict({**content, "prepend_text": "export PATH=/nowhere"})
    outputs, node = run_oracle(copper, nowhere, label_code, max_attempts=2)
    assert node.exit_status == AseOracleWorkChain.exit_codes.ERROR_TOO_MANY_FAILURES.status
    failed = outputs["report"]["failed"]
    assert len(failed) == 6
    for failure in failed:
        assert failure["kind"] == "job_failed"
        assert "wrote no labels" in failure["reason"]
        assert orm.load_node(failure["calculation"]).process_label == "AseLabelCalculation"


def test_exit_message_names_an_unusable_calculator(
    copper: list[Atoms], resources: orm.Dict, label_code: orm.PortableCode
) -> None:
    _, node = run_oracle(copper, resources, label_code, calculator="no_such_package.module:Calculator")
    assert node.exit_status == AseOracleWorkChain.exit_codes.ERROR_CALCULATOR_UNAVAILABLE.status
    assert "no_such_package" in node.exit_message


def test_wrong_inputs_are_refused_before_anything_is_submitted(
    copper: list[Atoms], resources: orm.Dict, label_code: orm.PortableCode
) -> None:
    with pytest.raises(ValueError, match="nowhere"):
        run_oracle(copper, orm.Dict({"computer": "nowhere"}), label_code)


def test_batches_hold_each_frame_once() -> None:
    frames = [("a", step) for step in range(7)] + [("b", step) for step in (0, 2, 3)]
    batches = make_batches(frames, 4)
    assert [len(batch_frames(batch)) for batch in batches] == [4, 4, 2]
    assert [frame for batch in batches for frame in batch_frames(batch)] == frames
    assert batches[0] == {"a": [[0, 4]]}
