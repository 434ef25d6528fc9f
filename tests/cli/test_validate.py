"""`mlip-auto validate` and `run --validate`, as programs of their own with a real daemon."""

from __future__ import annotations

import json
from pathlib import Path

import yaml
from ase.io import read

from aiida_mlip_autopipec.cli.verdict import verdict_lines

from ..system.test_app import SMALL, Command, home, mlip_auto  # noqa: F401

QUICK = {"level": "quick", "dynamics": {"nvt_steps": 40, "nve_steps": 60, "max_atoms": 16}}


def test_a_bad_potential_fails_wherever_it_comes_from(mlip_auto: Command, tmp_path: Path) -> None:  # noqa: F811
    (tmp_path / "CONFIG.yaml").write_text(yaml.safe_dump({**SMALL, "validation": QUICK}))
    done = mlip_auto("run", "CONFIG.yaml", "--validate", "--output", "out")
    assert done.returncode == 3, done.stdout + done.stderr
    assert "checks passed." in done.stdout and "✗ Cu fcc" in done.stdout
    verdict = json.loads((tmp_path / "out" / "validation.json").read_text())
    assert verdict["passed"] is False
    potential = done.stdout.split("Potential: node ")[1].split()[0]

    again = mlip_auto("validate", potential, "--level", "quick", "--output", "verdict")
    assert again.returncode == 3, again.stdout + again.stderr
    assert " reused" in again.stdout
    frames = read(tmp_path / "verdict" / "predicted.extxyz", ":")
    assert len(frames) == len(read(tmp_path / "verdict" / "labelled.extxyz", ":"))

    limits = dict.fromkeys(("lattice_constant", "bulk_modulus", "elastic_constant", "extrapolation_grade"), 1000.0)
    generous = {"oracle": {"type": "ase"}, "validation": {**QUICK, "limits": limits}}
    (tmp_path / "generous.yaml").write_text(yaml.safe_dump(generous))
    (tmp_path / "out" / "potential.yace").rename(tmp_path / "mine.yace")
    passed = mlip_auto("validate", "mine.yace", "--config", "generous.yaml")
    assert passed.returncode == 0, passed.stdout + passed.stderr
    assert "All " in passed.stdout
    run = passed.stdout.split("Run ")[1].split()[0]
    assert "checks passed" in mlip_auto("status", run).stdout

    unknown = mlip_auto("validate", "mine.yace")
    assert unknown.returncode == 1 and "its oracle is not known" in unknown.stderr


def test_wrong_arguments_are_explained(mlip_auto: Command, tmp_path: Path) -> None:  # noqa: F811
    (tmp_path / "text.yace").write_text("no potential")
    for arguments, message in (
        (("validate", "missing.yace"), "cannot be read"),
        (("validate", "text.yace"), "names no elements"),
        (("validate", "987654"), "names no single node"),
    ):
        done = mlip_auto(*arguments)
        assert done.returncode == 1 and message in done.stderr
        assert "Traceback" not in done.stderr


def test_the_table_of_a_verdict() -> None:
    check = {
        "name": "bulk_modulus",
        "structure": "Cu fcc",
        "quantity": "B",
        "unit": "GPa",
        "potential": 150.0,
        "oracle": None,
        "deviation": None,
        "limit": 0.1,
        "passed": False,
        "reason": "oracle: no label",
    }
    lines = list(verdict_lines({"checks": [check], "settings": {"relative": ["bulk_modulus"]}, "passed": False}))
    assert lines[-3].startswith("✗ Cu fcc") and lines[-3].endswith("10.0%")
    assert lines[-2].strip() == "bulk modulus: B: oracle: no label"
    assert lines[-1] == "0 of 1 checks passed."
