"""Properties by a quick fit to the data of Zuo et al., compared with the values of their DFT.

    python -m tests.benchmarks.bench_properties DATA [--elements Cu Si Li] [--functions 200] [--potential FILE.yace ELEMENT]

DATA is a folder with `mlearn_<element>_{train,test}.xyz` (J. Phys. Chem. A 124, 731 (2020), BSD-3). Prints a table: lattice
constant (Å), elastic constants and bulk modulus (GPa), vacancy formation and migration energy (eV), and the deviation. With
`--potential` the fit is left out. The data hold few structures of each kind: none of the migration, and the training file of
copper has no stresses.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from aiida_mlip_autopipec.config.schemas.properties import PropertiesConfig
from aiida_mlip_autopipec.config.schemas.training import TrainingConfig
from aiida_mlip_autopipec.properties.calculator import load_calculator
from aiida_mlip_autopipec.properties.compute import compute_properties
from aiida_mlip_autopipec.properties.crystals import reference_crystals
from aiida_mlip_autopipec.trainer.pacemaker import PacemakerWrapper

LIMIT = 0.05

REFERENCE = {
    "Cu": {
        "a": 3.621,
        "C11": 173,
        "C12": 133,
        "C44": 88,
        "bulk modulus (Hill)": 146,
        "vacancy": 1.15,
        "migration": 0.79,
    },
    "Li": {"a": 3.427, "C11": 15, "C12": 13, "C44": 11, "bulk modulus (Hill)": 14, "vacancy": 0.62, "migration": 0.06},
    "Si": {"a": 5.469, "C11": 156, "C12": 65, "C44": 76, "bulk modulus (Hill)": 95, "vacancy": 3.25, "migration": 0.21},
}
"""DFT values of the table of properties in the paper. Check them against the printed paper before you quote a deviation."""


def predicted(results: list[dict[str, Any]], element: str) -> dict[str, float]:
    """Return the quantities of the table, by the names of :data:`REFERENCE`."""
    for result in results:
        for note in [result["reason"], *result["notes"]]:
            if note:
                print(f"    {result['property']}: {note}")
    values = {value["name"]: value["value"] for result in results for value in result["values"]}
    names = {
        "vacancy": f"{element} vacancy formation energy",
        "migration": f"{element} vacancy migration energy",
    }
    return {key: values.get(names.get(key, key)) for key in REFERENCE[element]}


def fit(data: Path, element: str, functions: int, folder: Path) -> Path:
    """Fit a potential to the data of an element."""
    from ase.io.trajectory import Trajectory

    from .bench_mlearn import read_data

    with Trajectory(str(folder / "data.traj"), "w") as frames:
        for atoms in read_data(data, element, 1):
            frames.write(atoms)
    return PacemakerWrapper(folder / "fit").train(folder / "data.traj", TrainingConfig(n_functions=functions))


def compare(potential: Path, element: str) -> None:
    """Print the table of an element."""
    config = PropertiesConfig(
        properties=("lattice", "elastic", "defects", "migration"), defects={"kinds": ["vacancy"]}, max_force=1e-3
    )
    results = compute_properties(reference_crystals([element]), config, load_calculator(potential))
    print(f"{element}\n    {'quantity':<22}{'potential':>10}{'DFT':>10}{'deviation':>11}")
    for key, value in predicted(results, element).items():
        reference = REFERENCE[element][key]
        if value is None:
            print(f"    {key:<22}{'-':>10}{reference:>10.3f}")
            continue
        deviation = value / reference - 1
        print(
            f"    {key:<22}{value:>10.3f}{reference:>10.3f}{deviation:>10.1%} {'' if abs(deviation) <= LIMIT else '*'}"
        )
    print("    * more than 5 %", flush=True)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--elements", nargs="+", default=["Cu", "Si", "Li"])
    parser.add_argument("--functions", type=int, default=200)
    parser.add_argument("--potential", nargs=2, metavar=("FILE", "ELEMENT"))
    arguments = parser.parse_args()
    if arguments.potential is not None:
        compare(Path(arguments.potential[0]), arguments.potential[1])
        return
    for element in arguments.elements:
        with tempfile.TemporaryDirectory() as folder:
            compare(fit(arguments.data, element, arguments.functions, Path(folder)), element)


if __name__ == "__main__":
    main()
