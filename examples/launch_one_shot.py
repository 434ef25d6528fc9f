#!/usr/bin/env -S verdi run
"""Build, submit and follow a one-shot run, and print its results.

    verdi run examples/launch_one_shot.py examples/copper.yaml

It needs a profile with a broker, as `verdi presto` creates it; `mlip-auto run` creates one itself.
"""

import sys
import time
from pathlib import Path

from aiida.engine import submit

from aiida_mlip_autopipec.config.read import parse_settings, read_yaml
from aiida_mlip_autopipec.config.schemas.pipeline import PipelineConfig
from aiida_mlip_autopipec.host.daemon import ensure_daemon
from aiida_mlip_autopipec.pipelines.builders import build_one_shot

if len(sys.argv) != 2:
    raise SystemExit("usage: verdi run examples/launch_one_shot.py CONFIG.yaml")
path = Path(sys.argv[1])
config = parse_settings(PipelineConfig, read_yaml(path), str(path))

ensure_daemon()
run = submit(build_one_shot(config))
print(f"submitted run {run.pk}")
while not run.is_terminated:
    time.sleep(2)

if not run.is_finished_ok:
    raise SystemExit(f"run {run.pk} failed: {run.exit_message or run.process_state.value}")

metrics = run.outputs.metrics.get_dict()
print(f"potential: {run.outputs.potential.uuid} ({metrics['n_functions']} functions, {metrics['cutoff_A']} Å)")
for split in ("train", "test"):
    errors = metrics[split]
    print(
        f"{split}: energy RMSE {errors['energy_rmse_meV_per_atom']:.2f} meV/atom, "
        f"force RMSE {errors['force_rmse_eV_per_A']:.4f} eV/Å, {errors['n_structures']} structures"
    )
