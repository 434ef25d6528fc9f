"""The oracle with real pw.x: correct labels; each structure is labelled once or reported with a reason."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiida import orm
from aiida.engine import run_get_node
from aiida.manage.configuration import Profile
from ase import Atoms
from ase.build import bulk
from ase.io import read

from aiida_mlip_autopipec.config.errors import UserError
from aiida_mlip_autopipec.config.schemas.oracle import AseOracleConfig, QuantumEspressoOracleConfig
from aiida_mlip_autopipec.config.schemas.resources import ResourcesConfig
from aiida_mlip_autopipec.dataset.trajectory import METHOD, frames_with_source, to_trajectories
from aiida_mlip_autopipec.host.computers import ensure_computer
from aiida_mlip_autopipec.oracle.ase import AseOracleWorkChain
from aiida_mlip_autopipec.oracle.prepare import prepare_oracle
from aiida_mlip_autopipec.oracle.pw_inputs import kpoint_mesh, pw_parameters
from aiida_mlip_autopipec.oracle.workchain import LabellingWorkChain
from aiida_mlip_autopipec.trainer.database import DatabaseManager

from .conftest import ROOT

pytestmark = pytest.mark.skipif(shutil.which("pw.x") is None, reason="pw.x is not installed")

Label = Callable[..., orm.WorkChainNode]


@pytest.fixture
def small_pw(silicon_upf: Path) -> QuantumEspressoOracleConfig:
    """Settings under which pw.x takes a second or two for silicon."""
    return QuantumEspressoOracleConfig(
        pseudopotentials={"Si": silicon_upf}, ecutwfc=12.0, kpoints_distance=0.6, vacuum=3.0, max_iterations=1
    )


@pytest.fixture
def label_by_pw(aiida_profile: Profile, small_pw: QuantumEspressoOracleConfig) -> Label:
    """Label structures by the oracle; return its node."""

    def label(structures: list[Atoms], **changes: Any) -> orm.WorkChainNode:
        from aiida_mlip_autopipec.oracle.quantumespresso import QuantumEspressoOracleWorkChain

        config = small_pw.model_copy(update=changes)
        elements = sorted({symbol for atoms in structures for symbol in atoms.get_chemical_symbols()})
        inputs = prepare_oracle(config, ResourcesConfig(), elements)
        _, node = run_get_node(QuantumEspressoOracleWorkChain, structures=to_trajectories(structures), **inputs)
        return node

    return label


@pytest.fixture
def silicon() -> list[Atoms]:
    """An isolated atom and three crystals of two atoms, with forces on the atoms of all crystals."""
    structures = [Atoms("Si", info={"family": "isolated_atom"})]
    for number in range(3):
        atoms = bulk("Si", a=5.35 + 0.05 * number)
        atoms.rattle(0.08, seed=number)
        atoms.info["family"] = "diamond"
        structures.append(atoms)
    return structures


def test_labels_equal_those_that_ase_reads_from_the_output(
    label_by_pw: Label, silicon: list[Atoms], tmp_path: Path
) -> None:
    node = label_by_pw(silicon)
    assert node.is_finished_ok, node.exit_message
    frames = frames_with_source(node.outputs.labelled)
    assert len(frames) == 4
    assert node.outputs.report["failed"] == []
    for atoms in frames:
        job = orm.load_node(atoms.info["calculation"])
        assert job.process_label == "PwCalculation"
        output = tmp_path / "pw.out"
        output.write_text(job.outputs.retrieved.get_object_content("aiida.out"))
        expected = read(output, format="espresso-out")
        (imported,) = DatabaseManager().load_dataset(output)
        assert imported.get_potential_energy() == expected.get_potential_energy()
        assert np.array_equal(imported.get_forces(), expected.get_forces())
        assert atoms.get_potential_energy() == pytest.approx(expected.get_potential_energy(), abs=1e-5)
        assert np.allclose(atoms.get_forces(), expected.get_forces(), atol=1e-5)
        if atoms.pbc.all():
            assert np.allclose(atoms.get_stress(), expected.get_stress(), atol=1e-6)
            assert np.abs(atoms.get_forces()).max() > 0.1
        else:
            assert "stress" not in atoms.calc.results


def test_forces_and_stress_are_derivatives_of_the_energy(label_by_pw: Label) -> None:
    start = bulk("Si", a=5.3)
    start.rattle(0.1, seed=4)
    step, strain = 0.01, 0.002
    # Nothing but the distance may change: neither the mesh nor, by symmetry, the points kept of it.
    moved = [start.copy() for _ in range(2)]
    for sign, atoms in zip((-1, 1), moved, strict=True):
        atoms.positions[0, 0] += sign * step
    strained = [start.copy() for _ in range(2)]
    for sign, atoms in zip((-1, 1), strained, strict=True):
        deformation = np.eye(3)
        deformation[0, 0] += sign * strain
        atoms.set_cell(atoms.cell.array @ deformation, scale_atoms=True)
    # A cutoff at which the number of plane waves, which strain changes, no longer matters.
    node = label_by_pw([start, *moved, *strained], ecutwfc=30.0)
    assert node.is_finished_ok, node.exit_message

    def labelled(wanted: Atoms) -> Atoms:
        (found,) = [
            atoms
            for atoms in frames_with_source(node.outputs.labelled)
            if np.allclose(atoms.positions, wanted.positions) and np.allclose(atoms.cell, wanted.cell)
        ]
        return found

    centre = labelled(start)
    low, high = (labelled(atoms).get_potential_energy() for atoms in moved)
    assert centre.get_forces()[0, 0] == pytest.approx(-(high - low) / (2 * step), abs=0.01)
    low, high = (labelled(atoms).get_potential_energy() for atoms in strained)
    stress = (high - low) / (2 * strain) / start.get_volume()
    assert centre.get_stress()[0] == pytest.approx(stress, abs=0.002)
    assert abs(stress) > 0.01


def test_a_structure_that_does_not_converge_is_reported(label_by_pw: Label, silicon: list[Atoms]) -> None:
    node = label_by_pw(silicon, overrides={"ELECTRONS": {"electron_maxstep": 1}}, max_failed_fraction=1.0)
    report = node.outputs.report.get_dict()
    assert (report["asked"], report["labelled"]) == (4, 0)
    assert node.exit_status == node.process_class.exit_codes.ERROR_TOO_MANY_FAILURES.status
    for failure in report["failed"]:
        assert failure["kind"] == "electronic_convergence_not_reached"
        assert "self-consistency" in failure["reason"]
        assert orm.load_node(failure["calculation"]).process_label == "PwCalculation"


def test_labels_are_stored_with_their_identity(label_by_pw: Label, silicon: list[Atoms], silicon_upf: Path) -> None:
    node = label_by_pw(silicon[:1])
    (trajectory,) = node.outputs.labelled.values()
    method = trajectory.base.attributes.get(METHOD)
    assert method["type"] == "quantumespresso"
    assert method["ecutwfc"] == 12.0
    assert method["pseudopotentials"] == {"Si": node.inputs.pseudos.Si.md5}
    assert str(silicon_upf) not in str(method)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pseudopotentials": {"Si": Path("/nowhere/Si.upf")}}, "cannot be read"),
        ({"pseudopotentials": {"Si": Path(__file__)}}, "not a valid UPF file"),
        ({"code": "pw@nowhere"}, "there is no AiiDA code 'pw@nowhere'"),
        ({"code": "label_structures"}, "not quantumespresso.pw"),
        ({"pseudopotentials": {}, "pseudo_family": "SSSP/9.9"}, "is not installed"),
    ],
)
def test_missing_requirements_are_an_error_before_submission(
    small_pw: QuantumEspressoOracleConfig, label_code: orm.PortableCode, changes: dict[str, Any], message: str
) -> None:
    before = orm.QueryBuilder().append(orm.ProcessNode).count()
    with pytest.raises(UserError, match=message):
        prepare_oracle(small_pw.model_copy(update=changes), ResourcesConfig(), ["Si"])
    assert orm.QueryBuilder().append(orm.ProcessNode).count() == before


def test_pseudopotential_of_another_element_is_refused(
    small_pw: QuantumEspressoOracleConfig, silicon_upf: Path
) -> None:
    config = small_pw.model_copy(update={"pseudopotentials": {"Al": silicon_upf}})
    with pytest.raises(UserError, match="of Si, not of Al"):
        prepare_oracle(config, ResourcesConfig(), ["Al"])


def by_volume(node: orm.WorkChainNode) -> list[Atoms]:
    return sorted(frames_with_source(node.outputs.labelled), key=lambda atoms: atoms.get_volume())


def test_espresso_calculator_of_ase_gives_the_same_labels(
    label_by_pw: Label,
    silicon: list[Atoms],
    silicon_upf: Path,
    small_pw: QuantumEspressoOracleConfig,
    resources: orm.Dict,
) -> None:
    crystals = silicon[1:3]
    ours = by_volume(label_by_pw(crystals))
    parameters = pw_parameters(crystals[0], small_pw)
    config = AseOracleConfig(
        calculator="tests.oracle.espresso:espresso",
        parameters={
            "folder": str(silicon_upf.parent),
            "pseudopotentials": {"Si": silicon_upf.name},
            "input_data": {name.lower(): content for name, content in parameters.items()},
            "kpts": kpoint_mesh(crystals[0], small_pw.kpoints_distance),
        },
    )
    inputs = prepare_oracle(config, ResourcesConfig(), ["Si"])
    content = inputs["resources"].get_dict()
    inputs["resources"] = orm.Dict(
        {**content, "prepend_text": f"{content['prepend_text']}\nexport PYTHONPATH={ROOT} OMP_NUM_THREADS=1"}
    )
    _, node = run_get_node(AseOracleWorkChain, structures=to_trajectories(crystals), **inputs)
    assert node.is_finished_ok, node.exit_message
    theirs = by_volume(node)
    for one, other in zip(ours, theirs, strict=True):
        assert np.array_equal(one.positions, other.positions)
        assert one.get_potential_energy() == pytest.approx(other.get_potential_energy(), abs=1e-4)
        assert np.allclose(one.get_forces(), other.get_forces(), atol=1e-3)
        assert np.allclose(one.get_stress(), other.get_stress(), atol=1e-4)


def test_missing_program_is_the_reason_of_failed_labels(label_by_pw: Label, silicon: list[Atoms]) -> None:
    missing = orm.InstalledCode(
        label="missing",
        computer=ensure_computer("localhost"),
        filepath_executable="/nowhere/pw.x",
        default_calc_job_plugin="quantumespresso.pw",
    ).store()
    node = label_by_pw(silicon[:1], code=missing.full_label)
    (failure,) = node.outputs.report["failed"]
    assert failure["kind"].startswith("output_")
    assert not node.is_finished_ok


def test_labels_of_a_failed_oracle_are_reused(
    aiida_profile: Profile,
    small_pw: QuantumEspressoOracleConfig,
    silicon: list[Atoms],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from aiida_mlip_autopipec.oracle import quantumespresso
    from aiida_mlip_autopipec.oracle.quantumespresso import QuantumEspressoOracleWorkChain

    def fail(*_: Any) -> None:
        raise RuntimeError("the worker has no memory left")

    structures = silicon[2:]
    # A cutoff that no other test uses, so that no labels are reused.
    config = small_pw.model_copy(update={"ecutwfc": 11.0})
    with monkeypatch.context() as patched:
        patched.setattr(quantumespresso, "_store_labels", fail)
        inputs = prepare_oracle(config, ResourcesConfig(), ["Si"])
        with pytest.raises(RuntimeError, match="no memory left"):
            run_get_node(QuantumEspressoOracleWorkChain, structures=to_trajectories(structures), **inputs)
    _, node = run_get_node(
        LabellingWorkChain,
        structures=to_trajectories(structures),
        type=orm.Str("quantumespresso"),
        oracle=prepare_oracle(config, ResourcesConfig(), ["Si"]),
    )
    assert node.is_finished_ok, node.exit_message
    assert node.outputs.report["reused"] == 2 == len(frames_with_source(node.outputs.labelled))
    assert not any(isinstance(called, orm.CalcJobNode) for called in node.called_descendants)
