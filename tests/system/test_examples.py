"""The example scripts for `verdi run`, without changes."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest
from aiida import orm
from ase import Atoms
from ase.io import read, write

from aiida_mlip_autopipec.dataset.library import load_dataset

from ..conftest import label_by_emt

EXAMPLES = Path(__file__).parents[2] / "examples"


def run_example(monkeypatch: pytest.MonkeyPatch, name: str, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")


def test_example_find_provenance(
    finished_run: orm.WorkChainNode, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_example(monkeypatch, "find_provenance.py", str(finished_run.outputs.potential.pk))
    printed = capsys.readouterr().out
    assert all(node.uuid in printed for node in finished_run.outputs.structures.values())
    assert "AseLabelCalculation" in printed and "label_structures" in printed and "localhost (localhost)" in printed


def test_example_publish(finished_run: orm.WorkChainNode, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    run_example(monkeypatch, "publish.py", finished_run.uuid, str(tmp_path / "public"))
    assert {path.name for path in (tmp_path / "public").iterdir()} == {
        "potential.aiida",
        "dataset.extxyz",
        "potential.yace",
    }
    metrics = finished_run.outputs.metrics
    frames = read(tmp_path / "public" / "dataset.extxyz", ":")
    assert len(frames) == metrics["train"]["n_structures"] + metrics["test"]["n_structures"]


def test_example_import_and_train(
    labelled_copper: list[Atoms],
    label_code: orm.PortableCode,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    frames = []
    for seed, atoms in enumerate(5 * labelled_copper):
        moved = atoms.copy()
        moved.rattle(0.03, seed=seed)
        frames.append(label_by_emt(moved))
    write(tmp_path / "own.extxyz", frames)
    run_example(monkeypatch, "import_and_train.py", str(tmp_path / "own.extxyz"), "own copper")
    assert "force RMSE" in capsys.readouterr().out
    assert len(load_dataset("own copper")) > 0
