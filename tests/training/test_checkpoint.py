"""The checkpoint of the reduction of the design matrix."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from mlip_train.checkpoint import FACTORS, Checkpoint, copy_checkpoint, remove_checkpoints

PARTS = [np.arange(12.0).reshape(3, 4), np.eye(4), np.zeros((0, 4))]


@pytest.fixture(autouse=True)
def working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_another_job_continues_from_a_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Checkpoint("this problem")
    assert first.load() is None
    first.finish(0, PARTS)
    first.save(5, PARTS[::-1], now=True)
    (tmp_path / "next").mkdir()
    monkeypatch.chdir(tmp_path / "next")
    copy_checkpoint(tmp_path)
    second = Checkpoint("this problem")
    done, in_progress = second.load() or (0, [])
    assert done == 5
    assert all(np.array_equal(*pair) for pair in zip(in_progress, PARTS[::-1], strict=True))
    for name, part in zip(("energy", "forces", "virial"), PARTS, strict=True):
        assert np.array_equal(second.factor(0, name), part)


def test_files_of_another_problem_and_damaged_files_are_ignored() -> None:
    Checkpoint("this problem").save(5, PARTS, now=True)
    (FACTORS / "at_work.npz").write_bytes(b"PK but no more")
    assert Checkpoint("this problem").load() is None
    damaged = Checkpoint("this problem")
    damaged.finish(0, PARTS)
    damaged.save(5, PARTS, now=True)
    assert Checkpoint("this problem").load() is not None
    os.truncate(FACTORS / "0_energy.npy", 150)
    assert Checkpoint("this problem").load() is None
    (FACTORS / "0_energy.npy").unlink()
    assert Checkpoint("this problem").load() is None
    assert Checkpoint("another problem").load() is None
    assert not (FACTORS / "at_work.npz").exists()


def test_states_are_written_at_intervals() -> None:
    checkpoint = Checkpoint("this problem")
    checkpoint.save(1, PARTS)
    assert checkpoint.load() is None
    remove_checkpoints()
    assert not FACTORS.exists()
