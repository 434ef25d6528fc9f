"""Preparation of the user's own structures: repair with a message, or rejection with file and frame."""

from __future__ import annotations

import re

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator

from aiida_mlip_autopipec.dataset.intake import check_stored, intake
from aiida_mlip_autopipec.dataset.species import explain_species
from aiida_mlip_autopipec.dataset.split import SPLIT_NAMES

from ..conftest import label_by_emt


def crystals(number: int = 8) -> list[Atoms]:
    frames = []
    for seed in range(number):
        atoms = bulk("Cu", cubic=True)
        atoms.rattle(0.05, seed=seed)
        frames.append(label_by_emt(atoms))
    return frames


def test_repairs_are_counted_and_name_frames() -> None:
    frames = crystals()
    for index in (1, 2, 3, 4, 6, 7):
        frames[index].set_cell(frames[index].cell.array[[1, 0, 2]])
        frames[index] = label_by_emt(frames[index])
    told: list[str] = []
    taken = intake(frames, "mine.extxyz", None, told.append)
    assert all(np.linalg.det(atoms.cell.array) > 0.0 for atoms in taken)
    (line,) = told
    assert line.startswith("mine.extxyz: 6 of 8 structures: left-handed cells")
    assert line.endswith("(frames 1, 2, 3, 4, 6 and 1 more)")


@pytest.mark.parametrize("said", [*SPLIT_NAMES, "Val", "TEST "])
def test_common_split_names_are_mapped_to_train_and_test(said: str) -> None:
    frames = crystals(2)
    frames[1].info["split"] = said
    told: list[str] = []
    taken = intake(frames, "mine", None, told.append)
    expected = SPLIT_NAMES[said.strip().lower()]
    assert [atoms.info["split"] for atoms in taken] == ["train", expected]
    assert any(f"taken as {expected}" in line for line in told) == (said != expected)


@pytest.mark.parametrize("said", ["holdout", 3, True, ["train"], ""])
def test_unknown_split_names_are_refused_with_file_and_frame(said: object) -> None:
    frames = crystals(3)
    frames[2].info["split"] = said
    with pytest.raises(ValueError, match=r"mine: 1 of 3 .*frame 2 \(Cu4\): split is .*allowed: train"):
        intake(frames, "mine")
    assert intake(frames, "mine", "test")[2].info["split"] == "test"


def test_every_refused_structure_is_counted_and_the_first_are_named() -> None:
    frames = crystals(9)
    frames[0].calc = None
    frames[1].calc = SinglePointCalculator(frames[1], energy=1.0, forces=np.zeros((3, 3)))
    frames[2].calc = SinglePointCalculator(frames[2], energy=np.nan, forces=np.zeros((4, 3)))
    frames[4].numbers[0] = 0
    frames[4] = attach(frames[4])
    frames[5].positions[0, 0] = np.nan
    frames[5] = attach(frames[5])
    for index in (6, 7):
        frames[index].pbc = True
        frames[index].cell[2] = 0.0
        frames[index] = attach(frames[index])
    with pytest.raises(ValueError) as caught:
        intake(frames, "mine")
    message = str(caught.value)
    assert "mine: 7 of 9 structures cannot be used" in message and message.endswith("and 2 more")
    for part in (
        "frame 0 (Cu4): no energy and no forces",
        "frame 1 (Cu4): forces of the shape (3, 3)",
        "frame 2 (Cu4): energy not finite",
        "frame 4 (Cu3X): atom 0 is 'X'",
        "frame 5 (Cu4): positions of atom 0 not finite",
    ):
        assert part in message


def attach(atoms: Atoms) -> Atoms:
    atoms.calc = SinglePointCalculator(atoms, energy=1.0, forces=np.zeros((len(atoms), 3)))
    return atoms


def test_stored_structures_are_checked_like_new_ones() -> None:
    frames = crystals(3)
    assert check_stored(frames, "stored") == []
    frames[1].set_cell(-frames[1].cell.array)
    frames[1] = label_by_emt(frames[1])
    (line,) = check_stored(frames, "stored")
    assert line.startswith("stored: 1 of 3 structures: left-handed")
    frames[2].cell[2] = 0.0
    frames[2] = attach(frames[2])
    with pytest.raises(ValueError, match=r"stored: 1 of 3 .*frame 2 \(Cu4\): periodic along c"):
        check_stored(frames, "stored")


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("D", "deuterium.*write H"),
        ("T", "tritium.*write H"),
        ("Cu1", "'Cu1'.*write Cu"),
        ("fe_2", "write Fe"),
        ("HW1", "write H"),
        ("29", "29 is an atomic number.*write the symbol, Cu"),
        ("999", "'999' is not a chemical element$"),
        ("Qq", "'Qq' is not a chemical element$"),
    ],
)
def test_message_for_atom_labels_that_are_not_elements(label: str, words: str) -> None:
    assert re.search(words, explain_species(label))
