"""`mlip-auto converge` with the real pw.x: it writes the cheapest settings, and a repetition reuses all labels."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from ase.build import bulk
from ase.io import write

from ..conftest import Command

CONFIG = """\
# Silicon, far from converged.
elements: [Si]
oracle:
  type: quantumespresso
  pseudopotentials: {{Si: {upf}}}
  ecutwfc: 30  # to be found
  vacuum: 3.0
resources:
  oracle: {{cores: 1}}
"""

VALUES = ["--cutoffs", "8,10,13", "--distances", "1.6,1.2,0.9"]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pw.x", path="/usr/bin:/bin") is None, reason="pw.x is not installed")
def test_the_cheapest_settings_are_written_and_labels_are_reused(
    run_program: Command, tmp_path: Path, silicon_upf: Path
) -> None:
    config, structure = tmp_path / "CONFIG.yaml", tmp_path / "si.xyz"
    config.write_text(CONFIG.format(upf=silicon_upf))
    atoms = bulk("Si")
    atoms.rattle(0.05, seed=1)
    write(structure, atoms)
    strict = ["converge", config, "--structures", structure, *VALUES]

    failed = run_program("mlip-auto", *strict, "--energy", "0.001")
    assert failed.returncode == 1
    assert failed.stdout.count("1 labels computed, 0 reused") == 5, failed.stderr
    assert "no setting coarser than the finest one reaches the target" in failed.stderr
    assert config.read_text() == CONFIG.format(upf=silicon_upf)

    done = run_program("mlip-auto", *strict, "--energy", "100000", "--force", "100000")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("0 labels computed, 1 reused") == 5
    table = [line for line in failed.stdout.splitlines() if line.split()[:1] in (["8"], ["10"], ["13"])]
    assert len(table) == 6 and all(line in done.stdout.splitlines() for line in table)
    changed = config.read_text()
    assert "ecutwfc: 8.0" in changed and "# to be found" in changed and "kpoints_distance: 1.6" in changed
    assert (tmp_path / "convergence.svg").stat().st_size > 1000


def test_an_oracle_without_cutoff_is_an_error(run_program: Command, tmp_path: Path) -> None:
    config = tmp_path / "CONFIG.yaml"
    config.write_text("elements: [Cu]\n")
    done = run_program("mlip-auto", "converge", config)
    assert done.returncode == 1 and "oracle: emt has no cutoff that could be converged" in done.stderr
    done = run_program("mlip-auto", "converge", config, "--cutoffs", "10,x")
    assert done.returncode == 1 and "--cutoffs: give numbers separated by commas" in done.stderr
