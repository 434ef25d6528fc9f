"""The training data as the fit reads them."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
from ase import Atoms
from mlip_train.data import Frame, reference_energies


def free_atom(energy: float) -> Frame:
    return Frame(Atoms("Fe"), energy, np.zeros((1, 3)), None, "train", 0, "isolated_atom")


def test_the_energy_of_a_free_atom_is_that_of_its_ground_state() -> None:
    settings = SimpleNamespace(raw={}, elements=["Fe"])
    for energies in ([-3.0, -2.5], [-2.5, -3.0]):
        reference = reference_energies(settings, [free_atom(energy) for energy in energies])  # type: ignore[arg-type]
        assert (reference.of_element, reference.source) == ({"Fe": -3.0}, "isolated_atoms")
