"""FHI-aims with its light, intermediate or tight species defaults."""

from __future__ import annotations

from ...config.recipes import Recipe

RECIPE = Recipe(
    title="FHI-aims (licence needed; `{level}` in species_dir stands for light, intermediate or tight)",
    parameters={
        "xc": "pbe",
        "relativistic": "atomic_zora scalar",
        "sc_iter_limit": 200,
        # Without this, ASE's calculator would run the code a second time for the forces.
        "compute_forces": True,
    },
    levels={
        "fast": {"occupation_type": "gaussian 0.1", "sc_accuracy_rho": 1e-4, "sc_accuracy_forces": 1e-3},
        "balanced": {"occupation_type": "gaussian 0.05", "sc_accuracy_rho": 1e-5, "sc_accuracy_forces": 1e-4},
        "stringent": {"occupation_type": "gaussian 0.02", "sc_accuracy_rho": 1e-6, "sc_accuracy_forces": 1e-5},
    },
    by_kind={
        "bulk": {"compute_analytical_stress": True},
        "cluster": {"spin": "collinear", "default_initial_moment": "hund"},
        "atom": {"spin": "collinear", "default_initial_moment": "hund"},
    },
    spin={"spin": "collinear", "default_initial_moment": "hund"},
    kpoints={"fast": 0.35, "balanced": 0.2, "stringent": 0.12},
    settings={"kpoints_keyword": "k_grid", "structures_per_job": 1, "command": "aims.x"},
    version=((), r"FHI-aims version\s*:\s*(\S+)"),
    example={
        "elements": ["Si"],
        "oracle": {"parameters": {"species_dir": "/opt/fhi-aims/species_defaults/defaults_2020/{level}"}},
    },
)
