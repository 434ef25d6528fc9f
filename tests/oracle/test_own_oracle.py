"""The package of docs/how-to/own_oracle.md, installed as its users install it, labels structures."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ase.build import bulk
from ase.calculators.morse import MorsePotential

from .conftest import ROOT

MLIP_AUTO = Path(sys.executable).parent / "mlip-auto"

PAGE = ROOT / "docs" / "how-to" / "own_oracle.md"

LABEL = """
import json, sys
from aiida_mlip_autopipec.config.read import parse_settings, read_yaml
from aiida_mlip_autopipec.config.schemas.pipeline import PipelineConfig
from aiida_mlip_autopipec.host.profile import ensure_profile
from pathlib import Path

config = parse_settings(PipelineConfig, read_yaml(Path(sys.argv[1])), "CONFIG.yaml")
assert "aiida.engine" not in sys.modules
ensure_profile()

from aiida.engine import run_get_node
from aiida.orm import CalcFunctionNode, Str
from ase.build import bulk

from aiida_mlip_autopipec.dataset.trajectory import frames_with_source, to_trajectories
from aiida_mlip_autopipec.oracle.prepare import prepare_oracle
from aiida_mlip_autopipec.oracle.workchain import LabellingWorkChain

structures = [bulk("Cu", a=a) for a in (3.5, 3.6)]
found = []
for _ in range(2):
    oracle = prepare_oracle(config.oracle, config.resources.oracle, config.elements)
    _, node = run_get_node(
        LabellingWorkChain, structures=to_trajectories(structures), type=Str(config.oracle.type), oracle=oracle
    )
    assert node.is_finished_ok, node.exit_message
    frames = frames_with_source(node.outputs.labelled)
    found.append(
        {
            "labels": sorted((atoms.get_potential_energy(), atoms.get_stress()[0]) for atoms in frames),
            "reused": node.outputs.report["reused"],
            "computed": sum(called.process_label == "label_by_morse" for called in node.called_descendants),
        }
    )
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package, installed by pip into a folder."""
    source, target = tmp_path_factory.mktemp("morse-oracle"), tmp_path_factory.mktemp("site")
    text = PAGE.read_text(encoding="utf-8")
    (source / "pyproject.toml").write_text(re.findall(r"^```toml\n(.*?)^```$", text, re.M | re.S)[0])
    for name, code in re.findall(r"^<!-- own oracle: (\S+) -->\n```python\n(.*?)^```$", text, re.M | re.S):
        (source / name).parent.mkdir(exist_ok=True)
        (source / name).write_text(code)
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--target", target]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, source], check=True)
    return target


def run(package: Path, home: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(package), "AIIDA_PATH": str(home)}
    return subprocess.run(arguments, env=environment, capture_output=True, text=True, check=False, cwd=home)


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    """A config with this oracle."""
    path = tmp_path / "CONFIG.yaml"
    path.write_text(yaml.safe_dump({"elements": ["Cu"], "oracle": {"type": "morse", "depth": 0.5}}))
    return path


def test_the_package_labels_structures_and_labels_are_reused(package: Path, config_file: Path, tmp_path: Path) -> None:
    done = run(package, tmp_path, sys.executable, "-c", LABEL, config_file)
    assert done.returncode == 0, done.stderr
    first, again = json.loads(done.stdout.splitlines()[-1])
    expected: list[Any] = []
    for constant in (3.5, 3.6):
        atoms = bulk("Cu", a=constant)
        atoms.calc = MorsePotential(epsilon=0.5, r0=2.5)
        expected.append((atoms.get_potential_energy(), atoms.get_stress()[0]))
    assert first["labels"] == [pytest.approx(labels, abs=1e-12) for labels in sorted(expected)]
    assert (first["reused"], first["computed"]) == (0, 1)
    assert again["labels"] == first["labels"]
    assert (again["reused"], again["computed"]) == (2, 0)


def test_settings_of_the_oracle_are_checked_and_its_type_is_listed(
    package: Path, config_file: Path, tmp_path: Path
) -> None:
    config_file.write_text("elements: [Cu]\noracle: {type: morse, dept: 0.5}\n")
    done = run(package, tmp_path, MLIP_AUTO, "setup", "check", "--config", config_file)
    assert done.returncode == 1
    assert "oracle.dept: unknown key; did you mean 'depth'?" in done.stderr
    config_file.write_text("elements: [Cu]\noracle: {type: mores}\n")
    done = run(package, tmp_path, MLIP_AUTO, "setup", "check", "--config", config_file)
    assert "'mores' is not allowed: choose from 'ase', 'morse', 'quantumespresso'" in done.stderr


def test_error_names_a_package_that_cannot_be_imported(package: Path, config_file: Path, tmp_path: Path) -> None:
    broken = tmp_path / "site"
    information = broken / "broken-1.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[aiida_mlip_autopipec.oracles]\nmorse = no_such_module:ORACLE\n")
    done = run(broken, tmp_path, MLIP_AUTO, "setup", "check", "--config", config_file)
    assert done.returncode == 1
    assert "the oracle 'morse' of broken 1.0 cannot be imported: ModuleNotFoundError" in done.stderr
