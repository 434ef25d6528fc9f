"""ABINIT with norm-conserving pseudopotentials."""

from __future__ import annotations

from ...config.cutoff import Cutoff
from ...config.recipes import Recipe

# `ecutsm` makes the energy a smooth function of the cell, of which the stress is the derivative.
_COMMON = {"ecutsm": 0.5, "occopt": 3, "chksymbreak": 0, "nstep": 100, "prtwf": 0, "prtden": 0}

RECIPE = Recipe(
    title="ABINIT (apt-get install abinit)",
    parameters={"pps": "hgh", "xc": "LDA", **_COMMON},
    levels={
        "fast": {"ecut": 350.0, "tsmear": "0.1 eV", "tolvrs": 1e-8},
        "balanced": {"ecut": 600.0, "tsmear": "0.1 eV", "tolvrs": 1e-10},
        "stringent": {"ecut": 1000.0, "tsmear": "0.05 eV", "tolvrs": 1e-12},
    },
    by_kind={"cluster": {"nsppol": 2}, "atom": {"nsppol": 2}},
    spin={"nsppol": 2},
    kpoints={"fast": 0.4, "balanced": 0.22, "stringent": 0.14},
    settings={"vacuum": 5.0, "structures_per_job": 5, "command": "abinit"},
    version=(("--version",), r"^(\d+\.\d\S*)"),
    cutoff=Cutoff("ecut", "eV", (250, 350, 500, 700, 900, 1200), lambda value: {"parameters": {"ecut": value}}),
    example={"elements": ["Si"], "oracle": {"parameters": {"pp_paths": ["/usr/share/abinit/psp"]}}},
)
