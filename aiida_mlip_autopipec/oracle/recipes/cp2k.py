"""CP2K: Gaussians and plane waves with GTH pseudopotentials, through its shell."""

from __future__ import annotations

from ase.units import Rydberg

from ...config.cutoff import Cutoff
from ...config.recipes import Recipe


def _input(epsilon: float, scf: float, kelvin: float) -> str:
    """Return the part of the input that ASE's calculator does not write; its k-points are added to it."""
    return f"""&FORCE_EVAL
  &DFT
    &QS
      EPS_DEFAULT {epsilon:.1E}
    &END QS
    &MGRID
      REL_CUTOFF 50
    &END MGRID
    &SCF
      EPS_SCF {scf:.1E}
      ADDED_MOS 8 8
      &SMEAR ON
        METHOD FERMI_DIRAC
        ELECTRONIC_TEMPERATURE [K] {kelvin:g}
      &END SMEAR
      &MIXING
        METHOD BROYDEN_MIXING
        ALPHA 0.3
      &END MIXING
    &END SCF
  &END DFT
&END FORCE_EVAL
"""


RECIPE = Recipe(
    title="CP2K with its shell (apt-get install cp2k)",
    parameters={
        "xc": "PBE",
        "basis_set_file": "BASIS_MOLOPT",
        "potential_file": "GTH_POTENTIALS",
        "pseudo_potential": "auto",
        "max_scf": 100,
    },
    levels={
        "fast": {
            "basis_set": "SZV-MOLOPT-SR-GTH",
            "cutoff": round(250 * Rydberg, 3),
            "inp": _input(1e-10, 1e-6, 1000),
        },
        "balanced": {
            "basis_set": "DZVP-MOLOPT-SR-GTH",
            "cutoff": round(400 * Rydberg, 3),
            "inp": _input(1e-12, 1e-7, 600),
        },
        "stringent": {
            "basis_set": "DZVP-MOLOPT-SR-GTH",
            "cutoff": round(800 * Rydberg, 3),
            "inp": _input(1e-14, 1e-8, 600),
        },
    },
    by_kind={"cluster": {"uks": True}, "atom": {"uks": True}},
    spin={"uks": True},
    kpoints={"fast": 0.4, "balanced": 0.22, "stringent": 0.14},
    settings={"vacuum": 5.0, "structures_per_job": 5, "command": "cp2k_shell.psmp"},
    version=(("--version",), r"CP2K version\s+(\S.*?)\s*$"),
    cutoff=Cutoff("cutoff", "eV", (2700, 4100, 5500, 8200, 11000), lambda value: {"parameters": {"cutoff": value}}),
    example={
        "elements": ["Si"],
        "resources": {"oracle": {"prepend_text": "export CP2K_DATA_DIR=${CP2K_DATA_DIR:-/usr/share/cp2k}"}},
    },
)
