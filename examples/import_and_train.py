#!/usr/bin/env -S verdi run
"""Store your labelled structures as a dataset, fit a potential to it, and print its errors.

verdi run examples/import_and_train.py DATA.extxyz NAME
"""

import sys
from pathlib import Path

from aiida.engine import run_get_node

from aiida_mlip_autopipec.config.schemas.pipeline import TrainingRunConfig
from aiida_mlip_autopipec.dataset.intake import intake
from aiida_mlip_autopipec.dataset.library import store_dataset
from aiida_mlip_autopipec.pipelines.builders import build_training
from aiida_mlip_autopipec.trainer.database import DatabaseManager

if len(sys.argv) != 3:
    raise SystemExit("usage: verdi run examples/import_and_train.py DATA NAME")
path, name = Path(sys.argv[1]), sys.argv[2]
structures = intake(DatabaseManager().load_dataset(path), str(path))
group = store_dataset(structures, name, description=path.name)
print(f"dataset '{name}': {len(structures)} structures, group {group.pk}")

_, node = run_get_node(build_training(structures, TrainingRunConfig(), name))
if not node.is_finished_ok:
    raise SystemExit(f"the fit failed: {node.exit_message}")
errors = node.outputs.metrics["test"] or node.outputs.metrics["train"]
print(f"potential: {node.outputs.potential.uuid}")
print(
    f"energy RMSE {errors['energy_rmse_meV_per_atom']:.2f} meV/atom, force RMSE {errors['force_rmse_eV_per_A']:.4f} eV/Å"
)
