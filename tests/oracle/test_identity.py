"""Labels are reused only if the code and the files behind them are the same: each test changes one of them."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ase
import pytest
from aiida import orm
from aiida.engine import run_get_node
from ase import Atoms
from mlip_label.identity import Hasher

from aiida_mlip_autopipec.config.errors import UserError
from aiida_mlip_autopipec.config.schemas.oracle import AseOracleConfig
from aiida_mlip_autopipec.config.schemas.resources import ResourcesConfig
from aiida_mlip_autopipec.dataset.identity import method_id
from aiida_mlip_autopipec.dataset.trajectory import to_trajectories
from aiida_mlip_autopipec.oracle.identity import PROBE, identify_pw, is_the_same_ase, unchanged_since, unknown_warning
from aiida_mlip_autopipec.oracle.prepare import prepare_oracle
from aiida_mlip_autopipec.oracle.workchain import LabellingWorkChain

Prepare = Callable[..., dict[str, Any]]

CALCULATOR = """
from pathlib import Path
from ase.calculators.emt import EMT

class Scaled(EMT):
    # EMT times a number in a file, as pseudopotentials are files.
    def __init__(self, table, **parameters):
        super().__init__(**parameters)
        self.factor = float(Path(table).read_text())

    def calculate(self, *arguments, **named):
        super().calculate(*arguments, **named)
        for name in ("energy", "free_energy", "forces"):
            self.results[name] = self.factor * self.results[name]
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A folder with a calculator of the user, and the file that the calculator reads."""
    (tmp_path / "scaled.py").write_text(CALCULATOR)
    (tmp_path / "table").write_text("1.0")
    return tmp_path


@pytest.fixture
def prepare(aiida_profile: Any, package: Path) -> Prepare:
    """Return the inputs of the oracle with that calculator."""

    def prepared(**settings: Any) -> dict[str, Any]:
        table = {"parameters": {"table": str(package / "table")}}
        config = AseOracleConfig(**{"calculator": "scaled:Scaled", **table, **settings})
        resources = ResourcesConfig(prepend_text=f"export PYTHONPATH={package}")
        return prepare_oracle(config, resources, ["Cu"])

    return prepared


def identity(prepared: dict[str, Any]) -> str:
    return method_id(prepared["method"].get_dict())


def label(prepared: dict[str, Any], structures: list[Atoms]) -> orm.WorkChainNode:
    _, node = run_get_node(
        LabellingWorkChain, structures=to_trajectories(structures), type=orm.Str("ase"), oracle=prepared
    )
    assert node.is_finished_ok, node.exit_message
    return node


def test_a_file_changed_in_place_gives_new_labels(prepare: Prepare, package: Path, copper: list[Atoms]) -> None:
    first = label(prepare(), copper[1:3])
    again = label(prepare(), copper[1:3])
    assert (first.outputs.report["reused"], again.outputs.report["reused"]) == (0, 2)
    (package / "table").write_text("2.0")
    changed = label(prepare(), copper[1:3])
    assert changed.outputs.report["reused"] == 0
    energies = [next(iter(node.outputs.labelled.values())).get_array("energies")[0] for node in (first, changed)]
    assert energies[1] == pytest.approx(2.0 * energies[0])


def test_source_without_a_version_is_identified_by_its_content(prepare: Prepare, package: Path) -> None:
    before = identity(prepare())
    assert identity(prepare()) == before
    (package / "scaled.py").write_text(CALCULATOR + "\n# Changed.\n")
    assert identity(prepare()) != before


def test_a_new_version_of_a_package_is_another_method(package: Path) -> None:
    def version_found(version: str) -> dict[str, Any]:
        shutil.rmtree(package / "site", ignore_errors=True)
        info = package / "site" / f"scaled-{version}.dist-info"
        info.mkdir(parents=True)
        shutil.copy(package / "scaled.py", package / "site")
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: scaled\nVersion: {version}\n")
        (info / "top_level.txt").write_text("scaled\n")
        (info / "RECORD").write_text("scaled.py,,\n")
        request = json.dumps({"calculator": "scaled:Scaled"})
        done = subprocess.run(
            [sys.executable, PROBE, request], env={"PYTHONPATH": str(package / "site")}, capture_output=True, check=True
        )
        return dict(json.loads(done.stdout))

    first, second = version_found("1.0"), version_found("1.1")
    assert (first["packages"], second["packages"]) == ({"scaled": "1.0"}, {"scaled": "1.1"})
    assert first["unknown"] is None


def test_files_that_the_user_names_belong_to_the_identity(prepare: Prepare, package: Path) -> None:
    folder = package / "weights"
    folder.mkdir()
    (folder / "model.bin").write_bytes(b"1")
    named = {"identity_files": [str(folder)]}
    before = identity(prepare(**named))
    assert before == identity(prepare(**named)) != identity(prepare())
    (folder / "model.bin").write_bytes(b"2")
    assert identity(prepare(**named)) != before
    with pytest.raises(UserError, match=r"oracle\.identity_files: .*nowhere does not exist"):
        prepare(identity_files=[str(package / "nowhere")])


@pytest.fixture
def program(package: Path) -> Path:
    """An external program, and a folder with pseudopotentials."""
    path = package / "bin" / "orca"
    path.parent.mkdir()
    path.write_text("#!/bin/sh\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_external_program_of_a_calculator_is_identified_by_its_content(package: Path, program: Path) -> None:
    def found(**variables: str) -> dict[str, Any]:
        request = json.dumps({"calculator": "aims", "elements": ["Cu"]})
        environment = {"PATH": str(program.parent), "ASE_AIMS_COMMAND": "orca", **variables}
        done = subprocess.run([sys.executable, PROBE, request], env=environment, capture_output=True, check=True)
        return dict(json.loads(done.stdout))

    species = package / "species"
    species.mkdir()
    (species / "29_Cu_default").write_text("tight")
    before = found(AIMS_SPECIES_DIR=str(species))
    assert before["unknown"] is None and before["code"]["orca"] and len(before["files"]) == 1
    (species / "29_Cu_default").write_text("light")
    assert found(AIMS_SPECIES_DIR=str(species))["files"] != before["files"]
    program.write_text("#!/bin/sh\nexit 0\n")
    assert found(AIMS_SPECIES_DIR=str(species))["code"] != before["code"]
    assert "is not known" in found(ASE_AIMS_COMMAND="")["unknown"]


def test_the_identity_is_unknown_if_the_basis_sets_are_not_found(package: Path, program: Path) -> None:
    def found(**variables: str) -> dict[str, Any]:
        request = json.dumps({"calculator": "cp2k", "parameters": {"command": "orca"}, "elements": ["Cu"]})
        environment = {"PATH": str(program.parent), **variables}
        done = subprocess.run([sys.executable, PROBE, request], env=environment, capture_output=True, check=True)
        return dict(json.loads(done.stdout))

    data = package / "data"
    data.mkdir()
    (data / "BASIS_MOLOPT").write_text("1")
    assert "set CP2K_DATA_DIR" in found()["unknown"]
    before = found(CP2K_DATA_DIR=str(data))
    assert before["unknown"] is None
    (data / "BASIS_MOLOPT").write_text("2")
    assert found(CP2K_DATA_DIR=str(data))["files"] != before["files"]


def test_files_of_other_elements_in_a_large_folder_are_not_hashed(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlip_label.identity.WHOLE_FOLDER", 1)
    folder = package / "large"
    folder.mkdir()
    for name in ("BASIS_MOLOPT", "Cu.upf", "Ni.upf"):
        (folder / name).write_text(name)
    before = Hasher().of_folder(folder, ["Cu"])
    (folder / "Ni.upf").write_text("changed")
    assert Hasher().of_folder(folder, ["Cu"]) == before
    for name in ("Cu.upf", "BASIS_MOLOPT"):
        (folder / name).write_text("changed")
        after = Hasher().of_folder(folder, ["Cu"])
        assert after != before
        before = after


def test_labels_of_an_unknown_method_are_reused_only_under_a_name(prepare: Prepare) -> None:
    nowhere = {"calculator": "nowhere.package:Calculator", "parameters": {}}
    first, second = (prepare(**nowhere) for _ in range(2))
    assert identity(first) != identity(second)
    assert "oracle.identity" in str(unknown_warning(first["method"].get_dict()))
    named = [prepare(**nowhere, identity=name) for name in ("mine", "mine", "other")]
    assert identity(named[0]) == identity(named[1]) != identity(named[2])
    assert unknown_warning(named[0]["method"].get_dict()) is None


def test_labels_of_version_0_1_0_are_found_if_ase_is_the_same(aiida_profile: Any, copper: list[Atoms]) -> None:
    config = AseOracleConfig(parameters={"asap_cutoff": True})
    prepared = prepare_oracle(config, ResourcesConfig(), ["Cu"])
    # Stored as version 0.1.0 stored them; no earlier test has stored such labels.
    structures = [copper[1].copy() for _ in range(2)]
    for number, atoms in enumerate(structures):
        atoms.set_distance(0, 1, 2.412 + 0.1 * number)
    assert label({**prepared, "method": orm.Dict(config.method())}, structures).outputs.report["reused"] == 0
    assert label(prepared, structures).outputs.report["reused"] == 2
    method = prepared["method"].get_dict()
    assert is_the_same_ase(method, {"ase": ase.__version__})
    assert not is_the_same_ase(method, {"ase": "3.22.0"})


def test_changed_executable_of_pw_is_another_method(aiida_profile: Any, program: Path, resources: orm.Dict) -> None:
    code = orm.InstalledCode(
        label="pw-identity", computer=orm.load_computer("localhost"), filepath_executable=str(program)
    ).store()
    hour_ago = time.time() - 3600
    os.utime(program, (hour_ago, hour_ago))
    config = AseOracleConfig()
    before = identify_pw(config, code)
    assert identify_pw(config, code) == before and len(before["executable"]) == 64
    stored = orm.Dict({}).store().ctime.timestamp()
    method = {"code": "pw-identity", "identity": before}
    assert unchanged_since(method) < stored
    program.write_text("#!/bin/sh\necho another\n")
    after = identify_pw(config, code)
    assert after != before
    assert not unchanged_since({**method, "identity": after}) < stored
