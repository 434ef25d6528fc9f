"""VASP with the potentials that the Materials Project recommends, by ASE's calculator."""

from __future__ import annotations

from ...config.cutoff import Cutoff
from ...config.recipes import Recipe

_COMMON = {
    "xc": "pbe",
    "setups": "recommended",
    "prec": "Accurate",
    "algo": "Normal",
    "nelm": 200,
    "lreal": False,
    "lasph": True,
    "addgrid": False,
    "lwave": False,
    "lcharg": False,
    "gamma": True,
    "ismear": 0,
}

RECIPE = Recipe(
    title="VASP (licence needed; VASP_PP_PATH names the folder of the POTCAR files)",
    parameters=_COMMON,
    levels={
        "fast": {"encut": 400.0, "ediff": 1e-5, "sigma": 0.1},
        "balanced": {"encut": 520.0, "ediff": 1e-6, "sigma": 0.05},
        "stringent": {"encut": 700.0, "ediff": 1e-7, "sigma": 0.03},
    },
    by_kind={
        "cluster": {"sigma": 0.02, "ispin": 2},
        "atom": {"sigma": 0.02, "ispin": 2, "isym": 0},
    },
    spin={"ispin": 2},
    kpoints={"fast": 0.35, "balanced": 0.2, "stringent": 0.12},
    settings={"vacuum": 5.0, "structures_per_job": 1, "command": "vasp_std"},
    cutoff=Cutoff("encut", "eV", (300, 400, 500, 600, 700, 900), lambda value: {"parameters": {"encut": value}}),
    example={"elements": ["Si"]},
)
