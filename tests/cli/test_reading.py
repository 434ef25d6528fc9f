"""Messages of commands on the files that they read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.io import write
from click.testing import CliRunner

from aiida_mlip_autopipec.app import main
from aiida_mlip_autopipec.cli.common import read_structures
from aiida_mlip_autopipec.config.errors import UserError
from aiida_mlip_autopipec.config.schemas.label_keys import LabelKeys

OUTPUTS = Path(__file__).parents[1] / "dataset" / "files" / "data"


def test_skipped_steps_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    structures = read_structures(OUTPUTS / "unconverged.xml", None, False, None)
    assert [atoms.info["location"] for atoms in structures] == ["unconverged.xml, frame 0", "unconverged.xml, frame 2"]
    assert "unconverged.xml: 1 of 3 steps skipped: 1 not converged within NELM = 4" in capsys.readouterr().err


def test_label_names_given_by_keys_are_read(tmp_path: Path) -> None:
    atoms = Atoms("Si", cell=np.eye(3) * 4, pbc=True)
    atoms.info["u"] = -3.0
    atoms.set_array("f", np.ones((1, 3)))
    write(tmp_path / "data.extxyz", atoms)
    with pytest.raises(UserError, match=r"data\.extxyz: frame 0 .*the frame has: f \(shape \(1, 3\)\), u "):
        read_structures(tmp_path / "data.extxyz", None, False, None)
    (read,) = read_structures(tmp_path / "data.extxyz", None, False, LabelKeys(energy="u", forces="f"))
    assert read.calc.results["energy"] == -3.0
    assert np.array_equal(read.calc.results["forces"], np.ones((1, 3)))


@pytest.mark.parametrize("command", [["import", "x.xyz", "--label", "a"], ["train", "x.xyz"]])
def test_keys_that_cannot_be_parsed_are_an_error(command: list[str]) -> None:
    result = CliRunner().invoke(main, [*command, "--keys", "energy:u"])
    assert result.exit_code != 0
    assert "--keys 'energy:u': must be energy=NAME" in result.output
    assert isinstance(result.exception, SystemExit)
