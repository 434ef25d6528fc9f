"""ORCA, for molecules and clusters."""

from __future__ import annotations

from ...config.recipes import Recipe

RECIPE = Recipe(
    title="ORCA, for structures that are not periodic (full path of the program as `command`)",
    parameters={"charge": 0, "mult": "auto", "orcablocks": "%scf maxiter 300 end"},
    levels={
        "fast": {"orcasimpleinput": "PBE D4 def2-SVP def2/J TightSCF DefGrid2 EnGrad"},
        "balanced": {"orcasimpleinput": "PBE0 D4 def2-TZVP def2/J RIJCOSX TightSCF DefGrid3 EnGrad"},
        "stringent": {"orcasimpleinput": "wB97M-V def2-QZVPP def2/J RIJCOSX VeryTightSCF DefGrid3 EnGrad"},
    },
    settings={"structures_per_job": 5, "command": "/opt/orca/orca"},
    # ORCA has no option for its version: it prints it before it finds that its input file does not exist. ASE asks likewise.
    version=(("does_not_exist",), r"Program Version (\S+)"),
    example={"elements": ["H"]},
)
