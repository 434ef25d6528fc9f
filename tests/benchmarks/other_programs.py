"""Fits of other programs to the same data, for comparison: upstream's pacemaker, and ace-jax.

Errors are mean absolute errors on all structures of the test part, also on those that equal training structures.
"""

from __future__ import annotations

import os
import resource
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import yaml
from ase import Atoms
from ase.io import iread, write

TEMPLATE = {
    "embeddings": {
        "ALL": {"npot": "FinnisSinclairShiftedScaled", "fs_parameters": [1, 1, 1, 0.5], "ndensity": 2},
    },
    "bonds": {
        "ALL": {
            "radbase": "SBessel",
            "radparameters": [5.25],
            "rcut": 7,
            "dcut": 0.01,
            "NameOfCutoffFunction": "cos",
        }
    },
    "functions": {
        "number_of_functions_per_element": 700,
        "ALL": {"nradmax_by_orders": [15, 6, 4, 3, 2, 2], "lmax_by_orders": [0, 3, 3, 2, 2, 1]},
    },
}
"""The potential of upstream's input template, with its 700 functions."""


def pacemaker(
    program: Path, seconds: float, batch_size: int, structures: list[Atoms], references: dict[str, float], folder: Path
) -> dict[str, Any]:
    """Run pacemaker with its template for some seconds of processor time; return the errors on the test part."""
    from pyace import PyACECalculator

    training = _part(structures, "train")
    table = pandas.DataFrame(
        {
            "ase_atoms": [_unlabelled(atoms) for atoms in training],
            "energy_corrected": [
                a.get_potential_energy() - sum(references[symbol] for symbol in a.symbols) for a in training
            ],
            "forces": [a.get_forces() for a in training],
        }
    )
    table.columns = pandas.Index(list(table.columns), dtype=object)
    table.to_pickle(folder / "train.pckl.gzip", compression="gzip", protocol=4)
    content = {
        "potential": {"deltaSplineBins": 0.001, "elements": sorted(references), **TEMPLATE},
        "data": {"filename": "train.pckl.gzip"},
        "fit": {
            "loss": {"kappa": 0.3, "L1_coeffs": 1e-8, "L2_coeffs": 1e-8},
            "optimizer": "BFGS",
            "maxiter": 2000,
        },
        "backend": {"evaluator": "tensorpot", "batch_size": batch_size, "display_step": 50},
    }
    (folder / "input.yaml").write_text(yaml.safe_dump(content))
    log, facts = _run([program, "input.yaml"], folder, round(seconds))
    interim = folder / "interim_potential_0.yaml"
    if not interim.exists():
        return {**facts, "iterations": 0, "log": log[-1000:]}
    calculator = PyACECalculator(str(interim))
    predictions = []
    for atoms in _part(structures, "test"):
        copy = _unlabelled(atoms)
        copy.calc = calculator
        zero = sum(references[symbol] for symbol in atoms.symbols)
        predictions.append((copy.get_potential_energy() + zero, copy.get_forces()))
    iterations = len((folder / "metrics.txt").read_text().splitlines()) - 1
    return {**_errors(_part(structures, "test"), predictions), "iterations": iterations, **facts}


def ace_jax(program: Path, max_degree: int, structures: list[Atoms], folder: Path) -> dict[str, Any]:
    """Fit a linear ACE of order 3 by the program of ace-jax; return the errors on the test part."""
    for part in ("train", "test"):
        write(folder / f"{part}.xyz", [_labelled(atoms) for atoms in _part(structures, part)])
    labels = ["--energy-key", "reference_energy", "--force-key", "reference_forces"]
    basis = ["--order", "3", "--max-degree", str(max_degree)]
    files = ["--train", "train.xyz", "--test", "test.xyz", "--out", "jax"]
    log, facts = _run([program, "fit", *files, *labels, *basis, "--e0", "lsq", "--opt", "lbfgs"], folder)
    facts["basis"] = next(line for line in log.splitlines() if line.startswith("basis"))
    evaluate = ["eval", "--model", "jax/model.npz", "--data", "test.xyz", *labels, "--out", "predictions.xyz"]
    subprocess.run([program, *evaluate], cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    predictions = [
        (atoms.info["ace_energy"], atoms.arrays["ace_forces"]) for atoms in iread(folder / "predictions.xyz")
    ]
    return {**_errors(_part(structures, "test"), predictions), **facts}


def _run(command: list[Any], folder: Path, seconds: int | None = None) -> tuple[str, dict[str, Any]]:
    """Run a program in a folder; return its output, and its time, memory and exit status.

    :param seconds: limit of its processor time.
    """
    limit = (resource.RLIM_INFINITY if seconds is None else seconds,) * 2
    start = time.perf_counter()
    with (folder / "log.txt").open("w") as log:
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdout=log,
            stderr=subprocess.STDOUT,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, limit),
        )
        _, status, used = os.wait4(process.pid, 0)
    return (folder / "log.txt").read_text(), {
        "wall_time_s": time.perf_counter() - start,
        "processor_time_s": used.ru_utime + used.ru_stime,
        "peak_memory_MB": used.ru_maxrss / 1024,
        "ended": os.waitstatus_to_exitcode(status),
    }


def _part(structures: Sequence[Atoms], split: str) -> list[Atoms]:
    return [atoms for atoms in structures if atoms.info["split"] == split]


def _unlabelled(atoms: Atoms) -> Atoms:
    return Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)


def _labelled(atoms: Atoms) -> Atoms:
    copy = _unlabelled(atoms)
    copy.info["reference_energy"], copy.arrays["reference_forces"] = atoms.get_potential_energy(), atoms.get_forces()
    return copy


def _errors(structures: Sequence[Atoms], predictions: Sequence[tuple[float, np.ndarray]]) -> dict[str, float]:
    """Return the mean absolute errors of energies and forces."""
    pairs = list(zip(structures, predictions, strict=True))
    energies = [(energy - atoms.get_potential_energy()) / len(atoms) for atoms, (energy, _) in pairs]
    forces = np.concatenate([(predicted - atoms.get_forces()).ravel() for atoms, (_, predicted) in pairs])
    return {
        "energy_mae_meV_per_atom": 1000 * float(np.abs(energies).mean()),
        "force_mae_eV_per_A": float(np.abs(forces).mean()),
    }
