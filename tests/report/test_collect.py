"""The data of a report agree with the database."""

from __future__ import annotations

import numpy as np
import pytest
from aiida import orm
from aiida.manage.configuration import Profile
from ase.neighborlist import neighbor_list

from aiida_mlip_autopipec.dataset.trajectory import to_atoms
from aiida_mlip_autopipec.report.collect import collect
from aiida_mlip_autopipec.report.errors import error_statistics
from aiida_mlip_autopipec.report.page import render

from .stored import CHECK, rattled_copper, store_fit, store_validation


def test_a_run_its_fit_and_its_potential_have_the_same_report(finished_run: orm.WorkChainNode) -> None:
    potential = finished_run.outputs.potential
    fit = next(node for node in finished_run.called if node.process_label == "PaceTrainWorkChain")
    subjects = [collect(node) for node in (finished_run, fit, potential)]
    for subject in subjects:
        assert subject.title == "ACE potential for Cu"
        assert subject.identity == subjects[0].identity
        assert potential.uuid in subject.identity["potential"] and finished_run.uuid in subject.identity["run"]
        assert subject.changed_settings["training"]["n_functions"] == 15
        assert [stage.name for stage in subject.stages] == ["generate", "label", "curate", "train"]
        assert all(stage.seconds > 0 for stage in subject.stages)


def test_the_errors_are_those_of_the_metrics(finished_run: orm.WorkChainNode) -> None:
    structures = collect(finished_run).structures
    metrics = finished_run.outputs.metrics
    for name, chosen in (("train", ~structures.is_test), ("test", structures.is_test)):
        errors = error_statistics(structures, chosen)
        assert errors is not None
        assert errors.n_structures == metrics[name]["n_structures"]
        assert errors.energy_rmse == pytest.approx(metrics[name]["energy_rmse_meV_per_atom"])
        assert errors.force_mae == pytest.approx(metrics[name]["force_mae_eV_per_A"])
        assert errors.force_rmse == pytest.approx(metrics[name]["force_rmse_eV_per_A"])


def test_every_structure_names_the_calculation_that_labelled_it(finished_run: orm.WorkChainNode) -> None:
    structures = collect(finished_run).structures
    e0 = finished_run.outputs.metrics["reference_energies_eV"]["Cu"]
    for index in range(len(structures)):
        calculation = orm.load_node(structures.calculation_uuids[structures.calculation[index]])
        assert calculation.process_label == "AseLabelCalculation"
        source = orm.load_node(structures.source_uuids[structures.source[index]])
        assert source.creator.uuid == calculation.uuid
        (atoms,) = to_atoms(source, [int(structures.source_step[index])])
        assert atoms.get_chemical_formula() == structures.formula_names[structures.formula[index]]
        assert atoms.info["family"] == structures.kind_names[structures.kinds[index]]
        energy = atoms.get_potential_energy() / len(atoms) - e0
        assert structures.energy_reference[index] == pytest.approx(energy)


@pytest.mark.parametrize("cutoff", [6.0, 7.6])
def test_distances_are_those_of_the_structures(aiida_profile: Profile, cutoff: float) -> None:
    frames = rattled_copper(10)
    subject = collect(store_fit(frames, cutoff_A=cutoff))
    distances = [neighbor_list("d", atoms, cutoff + 1.5) for atoms in frames]
    expected, _ = np.histogram(np.concatenate(distances), subject.coverage.edges)
    # Distances are in single precision, so a few fall into the neighbouring bin.
    assert subject.coverage.counts["Cu–Cu"] == pytest.approx(expected, abs=3)
    assert subject.structures.shortest == pytest.approx([one.min() for one in distances], abs=1e-5)
    assert subject.coverage.shortest["Cu–Cu"] == pytest.approx([one.min() for one in distances], abs=1e-5)
    assert subject.coverage.compositions == {"Cu": 10}


def test_newest_validation_of_the_potential_is_shown(aiida_profile: Profile) -> None:
    frames = rattled_copper(10)
    potential, other = store_fit(frames), store_fit(frames)
    assert collect(potential).validation is None
    store_validation(potential, CHECK)
    newest = store_validation(potential, {**CHECK, "passed": True})
    store_validation(other, CHECK)
    found = collect(potential).validation
    assert found is not None and found.passed and found.uuid == newest.uuid


def test_a_potential_without_workchains_has_a_report(aiida_profile: Profile) -> None:
    subject = collect(store_fit(rattled_copper(10)))
    assert not subject.config and not subject.curation
    assert np.all(subject.structures.force_rmse > 0)


def test_structures_of_a_file_are_named_by_file_and_frame(aiida_profile: Profile) -> None:
    frames = rattled_copper(10)
    for number, atoms in enumerate(frames):
        del atoms.info["calculation"]
        atoms.info["location"] = f"mine.extxyz, frame {number}"
    subject = collect(store_fit(frames, [0.01] * 3 + [5.0] + [0.01] * 6))
    assert subject.structures.locations[3] == "mine.extxyz, frame 3"
    assert '<td class="uuid">mine.extxyz, frame 3</td>' in render(subject)


def test_nodes_without_potential_are_refused(aiida_profile: Profile) -> None:
    with pytest.raises(ValueError, match="not a potential"):
        collect(orm.Dict({}).store())
