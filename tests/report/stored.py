"""Fits and validations that are stored as their processes would store them, without running these."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Sequence
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from aiida import orm
from aiida.common.links import LinkType
from ase import Atoms
from ase.build import bulk
from ase.io.trajectory import Trajectory

from aiida_mlip_autopipec.config.schemas.pipeline import PipelineConfig, TrainingRunConfig

from ..conftest import label_by_emt


def rattled_copper(count: int, families: Sequence[str] = ("fcc_rattled",)) -> list[Atoms]:
    """Return cells of four atoms with EMT labels, alternating between the families; every tenth is a test structure."""
    frames = []
    for index in range(count):
        labelled = deepcopy(_rattled_cell(index))
        labelled.info = {
            "family": families[index % len(families)],
            "split": "test" if index % 10 == 9 else "train",
            "calculation": f"calculation-{index}",
            "source_uuid": f"source-{index}",
            "source_step": index,
        }
        frames.append(labelled)
    return frames


@cache
def _rattled_cell(seed: int) -> Atoms:
    """Return a cell with EMT labels, which all tests of this process share."""
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.1, seed=seed)
    return label_by_emt(atoms)


def store_fit(
    frames: Sequence[Atoms], noise: float | Sequence[float] = 0.01, made_by: str = "", **metrics: Any
) -> orm.SinglefileData:
    """Store a fit whose errors are noise (eV/atom and eV/Å), for all structures or each; return its potential.

    :param made_by: process label of a WorkChain that called the fit; none if empty.
    """
    random = np.random.default_rng(0)
    of_frame = np.broadcast_to(noise, len(frames))
    of_atom = np.repeat(of_frame, [len(atoms) for atoms in frames])[:, None]
    sizes = np.array([len(atoms) for atoms in frames])
    energies = np.array([atoms.get_potential_energy() for atoms in frames]) / sizes
    forces = np.concatenate([atoms.get_forces() for atoms in frames])
    predictions = io.BytesIO()
    np.savez(
        predictions,
        split=np.array([atoms.info["split"] for atoms in frames]),
        family=np.array([atoms.info["family"] for atoms in frames]),
        energy_reference=energies,
        energy_predicted=energies + of_frame * random.standard_normal(len(frames)),
        structure_index=np.repeat(np.arange(len(frames)), sizes),
        forces_reference=forces,
        forces_predicted=forces + of_atom * random.standard_normal(forces.shape),
    )
    predictions.seek(0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "dataset.traj"
        with Trajectory(str(path), "w") as trajectory:
            for atoms in frames:
                trajectory.write(atoms)
        dataset = orm.SinglefileData(path).store()
    n_test = sum(atoms.info["split"] == "test" for atoms in frames)
    elements = sorted({symbol for atoms in frames for symbol in atoms.symbols})
    errors = {
        "energy_rmse_meV_per_atom": 1000 * float(of_frame.mean()),
        "force_rmse_eV_per_A": float(of_frame.mean()),
    }
    content = {
        "elements": elements,
        "engine": "linear",
        "n_functions": 100,
        "cutoff_A": 6.0,
        "microseconds_per_atom": 200.0,
        "wall_time_s": 30.0,
        "reference_energies_eV": dict.fromkeys(elements, 3.5),
        "reference_energies_source": "isolated_atoms",
        "chosen": {"cutoff": "given"},
        "train": {"n_structures": len(frames) - n_test, **errors},
        "test": {"n_structures": n_test, **errors},
        **metrics,
    }
    fit = orm.CalcFunctionNode()
    if made_by:
        caller = orm.WorkChainNode()
        caller.base.attributes.set("process_label", made_by)
        settings = {"config": PipelineConfig(elements=elements)} if made_by != "PaceTrainWorkChain" else {}
        settings |= {"settings": TrainingRunConfig()}
        for name, model in settings.items():
            caller.base.links.add_incoming(orm.Dict(model.model_dump(mode="json")).store(), LinkType.INPUT_WORK, name)
        caller.store()
        fit.base.links.add_incoming(caller, LinkType.CALL_CALC, "fit")
    fit.base.links.add_incoming(dataset, LinkType.INPUT_CALC, "nodes__dataset")
    fit.store()
    potential = orm.SinglefileData(io.BytesIO(b"potential"), filename="potential.yace")
    for name, node in (
        ("potential_yace", potential),
        ("predictions_npz", orm.SinglefileData(predictions, filename="predictions.npz")),
        ("metrics", orm.Dict(json.loads(json.dumps(content)))),
    ):
        node.base.links.add_incoming(fit, LinkType.CREATE, name)
        node.store()
    return potential


CHECK = {
    "name": "lattice constant",
    "structure": "fcc",
    "quantity": "a",
    "unit": "Å",
    "potential": 3.71,
    "oracle": 3.59,
    "deviation": 0.12,
    "limit": 0.02,
    "passed": False,
    "reason": None,
}

CURVE = {
    "name": "equation of state of fcc",
    "kind": "equation_of_state",
    "x_label": "volume (Å³/atom)",
    "y_label": "energy (eV/atom)",
    "x": [10.0, 11.0, 12.0, 13.0],
    "potential": [-3.3, -3.5, -3.5, -3.4],
    "oracle": [-3.31, -3.49, -3.52, -3.41],
}


def store_validation(potential: orm.Node, *checks: dict[str, Any]) -> orm.WorkChainNode:
    """Store a validation of a potential."""
    process = orm.WorkChainNode()
    process.base.links.add_incoming(potential, LinkType.INPUT_WORK, "potential")
    process.store()
    passed = all(check["passed"] is not False for check in checks)
    bare = {**CURVE, "name": "no oracle", "oracle": None}
    result = orm.Dict({"passed": passed, "checks": list(checks), "curves": [CURVE, bare], "settings": {}}).store()
    result.base.links.add_incoming(process, LinkType.RETURN, "validation")
    return process
