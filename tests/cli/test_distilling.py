"""Distillation: a potential that reproduces a calculator, and its comparison with the calculator."""

from __future__ import annotations

import re
from pathlib import Path

import yaml
from ase.build import bulk
from ase.io import write

from ..conftest import Command

SMALL = {
    "generator": {"count": 20, "max_atoms": 8},
    "selection": "none",
    "training": {"n_functions": 12, "cutoff": 5.0, "order": 2, "test_fraction": 0.2},
}


def test_the_potential_is_compared_with_its_teacher(mlip_auto: Command, tmp_path: Path) -> None:
    write(tmp_path / "cu.cif", bulk("Cu", cubic=True))
    (tmp_path / "CONFIG.yaml").write_text(yaml.safe_dump(SMALL))
    done = mlip_auto("distill", "CONFIG.yaml", "--teacher", "emt", "--structures", "cu.cif", "--output", "out")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"against emt: \d+\.\d+ meV/atom and \d+\.\d+ eV/Å \(RMSE, test set\)", done.stdout)
    mine = float(re.search(r"Time of the potential: (\d+) µs", done.stdout)[1])  # type: ignore[index]
    found = re.search(r"Time of emt: (\d+) µs per atom, .* is ([\d.e+-]+) times as fast", done.stdout)
    assert found and mine > 0
    assert abs(float(found[1]) / mine / float(found[2]) - 1) < 0.1
    assert (tmp_path / "out" / "potential.yace").exists()


def test_config_with_an_oracle_is_refused(mlip_auto: Command, tmp_path: Path) -> None:
    (tmp_path / "CONFIG.yaml").write_text(yaml.safe_dump({**SMALL, "elements": ["Cu"], "oracle": {"type": "ase"}}))
    refused = mlip_auto("distill", "CONFIG.yaml", "--teacher", "emt")
    assert refused.returncode == 1 and "remove the section 'oracle'" in refused.stderr


def test_error_names_an_unknown_teacher(mlip_auto: Command) -> None:
    refused = mlip_auto("distill", "--element", "Cu", "--teacher", "oracle of delphi")
    assert refused.returncode == 1 and "oracle of delphi" in refused.stderr
