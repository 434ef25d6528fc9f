"""A folder for LAMMPS: the potential, a start structure, and complete inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ase import Atoms
from ase.data import atomic_masses, atomic_numbers
from ase.io import write

from ..generator.crystals import elemental_crystals, ordered_crystals, reference_prototype, supercell

MAX_ATOMS = 128
"""Largest number of atoms of the start structure."""

POTENTIAL, ACTIVE_SET = "potential", ("potential.yaml", "potential.asi")
START, README = "start.data", "README.txt"


@dataclass(frozen=True)
class LammpsFiles:
    """What LAMMPS needs of a potential.

    :param yace: content of the `.yace` file.
    :param active_set: contents of `potential.yaml` and `potential.asi`; empty if there is no active set.
    :param free_atoms: energies (eV) of free atoms by the reference method, by element; the potential gives 0 for them.
    :param start: start structure of the example inputs; by default a crystal of the elements at an estimated volume.
    """

    yace: bytes
    elements: Sequence[str]
    active_set: Mapping[str, bytes] = field(default_factory=dict)
    free_atoms: Mapping[str, float] = field(default_factory=dict)
    start: Atoms | None = None


def write_lammps(files: LammpsFiles, folder: Path) -> list[str]:
    """Write the files of a potential for LAMMPS to an existing folder, and return their names.

    `in.pace` runs on CPUs, `in.kokkos` on a GPU, and `in.extrapolation`, if there is an active set, stops where the potential
    extrapolates.
    """
    (folder / f"{POTENTIAL}.yace").write_bytes(files.yace)
    for name, content in files.active_set.items():
        (folder / name).write_bytes(content)
    start = files.start if files.start is not None else _crystal(files.elements)
    write(folder / START, start, format="lammps-data", specorder=list(files.elements), masses=True)
    inputs = {"in.pace": _pace, "in.kokkos": _kokkos} | (
        {"in.extrapolation": _extrapolation} if files.active_set else {}
    )
    for name, lines in inputs.items():
        (folder / name).write_text(_input(files.elements, lines(" ".join(files.elements))))
    (folder / README).write_text(_readme(files, list(inputs)), encoding="utf-8")
    return sorted(path.name for path in folder.iterdir())


def _crystal(elements: Sequence[str]) -> Atoms:
    if len(elements) > 1:
        return supercell(ordered_crystals(sorted(elements))[0].atoms, MAX_ATOMS)
    prototype = reference_prototype(elements[0]) or "fcc"
    return supercell(elemental_crystals(elements[0], (prototype,))[0].atoms, MAX_ATOMS)


# Each of these functions returns lines before all others, the pair style, and lines before `run`.


def _pace(species: str) -> tuple[str, str, str]:
    return "", f"pair_style pace\npair_coeff * * {POTENTIAL}.yace {species}", ""


def _kokkos(species: str) -> tuple[str, str, str]:
    # pace/kk refuses the full neighbour lists and `newton off` that are the defaults of KOKKOS on a GPU.
    head = "# Start it with: lmp -k on g 1 -sf kk -in in.kokkos\npackage kokkos newton on neigh half\n"
    return head, f"pair_style pace/kk product\npair_coeff * * {POTENTIAL}.yace {species}", ""


def _extrapolation(species: str) -> tuple[str, str, str]:
    pair = f"pair_style pace/extrapolation\npair_coeff * * {' '.join(ACTIVE_SET)} {species}"
    watch = """\
# The extrapolation grade of each atom, every 10 steps: up to 1 the potential interpolates, above 10 it is not reliable.
fix grade all pair 10 pace/extrapolation gamma 1
compute largest all reduce max f_grade
variable largest equal c_largest
fix stop all halt 10 v_largest > 10 error soft message yes
dump extrapolating all custom 10 extrapolating.dump id type x y z f_grade
variable known equal v_largest<2
dump_modify extrapolating sort id skip v_known
thermo_style custom step temp pe press c_largest
"""
    return "", pair, watch


def _input(elements: Sequence[str], parts: tuple[str, str, str]) -> str:
    head, pair, watch = parts
    masses = "\n".join(
        f"mass {kind} {_mass(element):.6f}  # {element}" for kind, element in enumerate(elements, start=1)
    )
    return f"""\
{head}# Units of LAMMPS "metal": Å, eV, eV/Å, ps, K, bar. Energies are relative to free atoms, see {README}.
units metal
atom_style atomic
boundary p p p
read_data {START}
{masses}

{pair}

neighbor 1.0 bin
neigh_modify every 1 delay 0 check yes
timestep 0.001
velocity all create 300 4928459 mom yes rot no
fix move all npt temp 300 300 0.1 iso 0 0 1
thermo 10
{watch}run 100
"""


def _mass(element: str) -> float:
    return float(atomic_masses[atomic_numbers[element]])


def _readme(files: LammpsFiles, inputs: Sequence[str]) -> str:
    rows = [
        f"{kind:>4}  {element:<7}  {_mass(element):>12.6f}  "
        + (f"{files.free_atoms[element]:>18.8f}" if element in files.free_atoms else f"{'not known':>18}")
        for kind, element in enumerate(files.elements, start=1)
    ]
    table = "\n".join(rows)
    return f"""\
ACE potential for {", ".join(files.elements)}, for LAMMPS with the package ML-PACE.

{", ".join(inputs)} run without changes: lmp -in {inputs[0]}
The inputs start from {START}, a crystal at an estimated lattice constant: put your own structure in its place.

Units: "metal" of LAMMPS, which are Å, eV, eV/Å, ps, K and bar.
Atom types in the order of pair_coeff:

type  element  mass (g/mol)  free atom (eV)
{table}

The potential gives 0 eV for a free atom. The total energy of the reference method is the energy that LAMMPS prints plus the
sum of the energies of the free atoms in the last column.
"""
