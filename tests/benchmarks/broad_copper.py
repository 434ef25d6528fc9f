"""Test set of many kinds of copper structures, made with ASE alone, independently of the pipeline; labels by EMT.

Molecular dynamics of the solid and the liquid from 300 to 2,500 K, also compressed and expanded, with vacancies, of surfaces
and of clusters; strained cells, and other crystals. The same structures each time.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.build import add_adsorbate, bulk, fcc100, fcc110, fcc111
from ase.calculators.emt import EMT
from ase.cluster import Decahedron, Icosahedron, Octahedron
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution

from aiida_mlip_autopipec.dataset.trajectory import attach_labels

LATTICE_CONSTANT = 3.61
"""Lattice constant of the crystal, in Å."""

EXPANSION = 2.0e-5
"""Linear thermal expansion, in 1/K."""

SOLID, LIQUID = (300.0, 600.0, 900.0, 1200.0), (1500.0, 2000.0, 2500.0)
"""Temperatures, in K."""

STEPS_BETWEEN, STEPS_BEFORE = 25, 75
"""Steps of 3 fs between two frames, and before the first."""


@cache
def broad_copper() -> tuple[Atoms, ...]:
    """Return the labelled structures; ``atoms.info["family"]`` is the kind."""
    return tuple(label_by_emt(atoms) for atoms in _structures(np.random.default_rng(2026)))


def broad_errors(potential: Path, free_atom: float) -> dict[str, Any]:
    """Return the errors of a potential on these structures: `energy` (meV/atom), `force` (eV/Å), and `force_of` each kind.

    All are root mean squares. They are infinite if the energy or the forces of a structure are not finite.

    :param potential: a `.yace` file.
    :param free_atom: the energy (eV) of a free atom, to which the energies of the potential are relative.
    """
    from pyace import PyACECalculator

    calculator = PyACECalculator(str(potential))
    energies, forces = [], []
    for atoms in broad_copper():
        mine = Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc, calculator=calculator)
        off = mine.get_potential_energy() + len(atoms) * free_atom - atoms.get_potential_energy()
        energies.append(1000.0 * off / len(atoms))
        forces.append((mine.get_forces() - atoms.get_forces()).ravel())
    kinds = [str(atoms.info["family"]) for atoms in broad_copper()]
    return {
        "energy": _rms(energies),
        "force": _rms(np.concatenate(forces)),
        "force_of": {
            kind: _rms(np.concatenate([one for one, of in zip(forces, kinds, strict=True) if of == kind]))
            for kind in dict.fromkeys(kinds)
        },
    }


def _rms(values: Any) -> float:
    return float(np.sqrt(np.mean(np.square(np.nan_to_num(values, nan=np.inf)))))


def label_by_emt(atoms: Atoms) -> Atoms:
    """Return a copy with the energy and forces of ASE's effective medium theory, with the stress too if it is periodic."""
    labelled = Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc, info=dict(atoms.info))
    labelled.calc = EMT()
    labels = {"energy": labelled.get_potential_energy(), "forces": labelled.get_forces()}
    if labelled.pbc.all():
        labels["stress"] = labelled.get_stress()
    return attach_labels(labelled, labels)


def _structures(random: np.random.Generator) -> Iterator[Atoms]:
    for temperature in SOLID:
        yield from _dynamics("solid", _crystal(temperature), temperature, 8, random)
    for temperature, length in ((300.0, 0.97), (1000.0, 0.96), (800.0, 1.04)):
        cell = _crystal(temperature)
        cell.set_cell(cell.cell * length, scale_atoms=True)
        yield from _dynamics("compressed" if length < 1 else "expanded", cell, temperature, 5, random)
    for temperature in LIQUID:
        yield from _dynamics("liquid", _melt(temperature, random), temperature, 10, random)
    for temperature, missing in ((600.0, 1), (1000.0, 1), (800.0, 2)):
        cell = _crystal(temperature)
        del cell[list(range(missing))]
        yield from _dynamics("vacancy", cell, temperature, 5, random)
    for temperature, slab in _slabs():
        yield from _dynamics("surface", slab, temperature, 4, random)
    for temperature, cluster in _clusters():
        yield from _dynamics("cluster", cluster, temperature, 4, random)
    yield from _strained(random)


def _crystal(temperature: float) -> Atoms:
    return bulk("Cu", a=LATTICE_CONSTANT * (1 + EXPANSION * temperature), cubic=True) * (2, 2, 2)


def _melt(temperature: float, random: np.random.Generator) -> Atoms:
    """Return the liquid: the crystal expanded by 5 % to 15 % of its volume, and heated strongly for a short time."""
    cell = bulk("Cu", a=LATTICE_CONSTANT, cubic=True) * (2, 2, 2)
    volume = 1.05 + 0.10 * (temperature - LIQUID[0]) / (LIQUID[-1] - LIQUID[0])
    cell.set_cell(cell.cell * volume ** (1 / 3), scale_atoms=True)
    cell.positions += random.normal(0.0, 0.3, cell.positions.shape)
    *_, melt = _dynamics("liquid", cell, 4000.0, 5, random)
    return melt


def _slabs() -> Iterator[tuple[float, Atoms]]:
    for build, size in ((fcc111, (2, 2, 5)), (fcc100, (2, 2, 5)), (fcc110, (2, 2, 6))):
        for temperature in (300.0, 1000.0):
            slab = build("Cu", size, a=LATTICE_CONSTANT, vacuum=6.0)
            slab.pbc = True
            yield temperature, slab
    slab = fcc111("Cu", (3, 3, 4), a=LATTICE_CONSTANT)
    add_adsorbate(slab, "Cu", 2.0, "fcc")
    slab.center(vacuum=6.0, axis=2)
    slab.pbc = True
    yield 500.0, slab


def _clusters() -> Iterator[tuple[float, Atoms]]:
    for cluster in (Icosahedron("Cu", 2), Octahedron("Cu", 3), Decahedron("Cu", 2, 2, 0), Icosahedron("Cu", 3)):
        for temperature in (300.0, 1000.0):
            made = Atoms(cluster.numbers, positions=cluster.positions)
            made.center(vacuum=7.0)
            yield temperature, made


def _strained(random: np.random.Generator) -> Iterator[Atoms]:
    for name in ("fcc", "bcc", "hcp"):
        for _ in range(10 if name == "fcc" else 5):
            cell = bulk(
                "Cu", name, **({"a": LATTICE_CONSTANT} if name == "fcc" else {"a": 2.87 if name == "bcc" else 2.56})
            )
            strain = random.uniform(-0.06, 0.06, (3, 3))
            cell.set_cell(cell.cell.array @ (np.eye(3) + (strain + strain.T) / 2), scale_atoms=True)
            cell = cell * (2, 2, 2 if name != "hcp" else 1)
            cell.positions += random.normal(0.0, 0.03, cell.positions.shape)
            cell.info = {"family": "strained"}
            yield cell


def _dynamics(kind: str, start: Atoms, temperature: float, count: int, random: np.random.Generator) -> Iterator[Atoms]:
    """Yield frames of molecular dynamics at constant temperature (K) and volume."""
    atoms = Atoms(start.numbers, positions=start.positions, cell=start.cell, pbc=start.pbc, calculator=EMT())
    MaxwellBoltzmannDistribution(atoms, temperature_K=temperature, rng=random)
    dynamics = Langevin(atoms, 3.0 * units.fs, temperature_K=temperature, friction=0.02 / units.fs, rng=random)
    dynamics.run(STEPS_BEFORE)
    for _ in range(count):
        dynamics.run(STEPS_BETWEEN)
        frame = Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
        frame.info = {"family": kind}
        yield frame
