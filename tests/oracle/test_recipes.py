"""Recipes: explicit settings have precedence over defaults, and the inputs of codes that are not installed are as expected."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import pytest
import yaml
from ase import Atoms
from ase.build import bulk, molecule
from click.testing import CliRunner
from mlip_label.calculator import make_calculator
from mlip_label.codes.cp2k import adapt, with_kpoints
from mlip_label.codes.multiplicity import multiplicity
from mlip_label.identity import identify
from mlip_label.labels import parameters_of

from aiida_mlip_autopipec.app import main
from aiida_mlip_autopipec.config.errors import UserError
from aiida_mlip_autopipec.config.read import parse_settings
from aiida_mlip_autopipec.config.recipes import LEVELS, find_recipe, recipe_names
from aiida_mlip_autopipec.config.schemas.oracle import AseOracleConfig
from aiida_mlip_autopipec.config.schemas.pipeline import PipelineConfig
from aiida_mlip_autopipec.oracle.ase_inputs import computed_structure, job_method
from aiida_mlip_autopipec.oracle.complete import complete
from aiida_mlip_autopipec.oracle.example import example_config

INCAR = """\
ENCUT = 520.000000
SIGMA = 0.050000
EDIFF = 1.00e-06
ALGO = Normal
GGA = PE
PREC = Accurate
ISMEAR = 0
NELM = 200
ADDGRID = .FALSE.
LASPH = .TRUE.
LCHARG = .FALSE.
LWAVE = .FALSE.
LREAL = .FALSE.
"""

INCAR_OF_AN_ATOM = """\
ENCUT = 520.000000
SIGMA = 0.020000
EDIFF = 1.00e-06
ALGO = Normal
GGA = PE
PREC = Accurate
ISMEAR = 0
ISPIN = 2
ISYM = 0
NELM = 200
ADDGRID = .FALSE.
LASPH = .TRUE.
LCHARG = .FALSE.
LWAVE = .FALSE.
LREAL = .FALSE.
MAGMOM = 1*4.0000
"""

CONTROL = """\
xc pbe
relativistic atomic_zora scalar
sc_iter_limit 200
compute_forces .true.
occupation_type gaussian 0.05
sc_accuracy_rho 1e-05
sc_accuracy_forces 0.0001
compute_analytical_stress .true.
k_grid 11 11 11
species Si
"""

CONTROL_OF_A_MOLECULE = """\
xc pbe
relativistic atomic_zora scalar
sc_iter_limit 200
compute_forces .true.
occupation_type gaussian 0.02
sc_accuracy_rho 1e-06
sc_accuracy_forces 1e-05
spin collinear
default_initial_moment hund
species H
"""

ORCA = """\
! PBE0 D4 def2-TZVP def2/J RIJCOSX TightSCF DefGrid3 EnGrad
%scf maxiter 300 end
*xyz 0 2
C 0.0 0.0 0.0
H 0.0 1.07841 0.0
H 0.93393 -0.539205 0.0
H -0.93393 -0.539205 0.0
*
"""


def config_of(calculator: str, *elements: str, **settings: Any) -> AseOracleConfig:
    return complete(AseOracleConfig(calculator=calculator, **settings), elements)


def calculator_for(atoms: Atoms, calculator: str, **settings: Any) -> tuple[Any, Atoms]:
    """Return the calculator that a job makes for a structure, and the structure as it gets it."""
    config = config_of(calculator, *sorted(set(atoms.get_chemical_symbols())), **settings)
    method = config.method()
    job = {**job_method([atoms], method), "command": config.command}
    computed = computed_structure(atoms, method)
    return make_calculator(job, parameters_of(0, job), computed), computed


def words(text: str) -> list[list[str]]:
    """Return the words of each line that is no comment."""
    return [line.split() for line in text.splitlines() if line.strip() and not line.startswith("#")]


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_is_complete_at_each_level_and_does_not_change_when_completed_again(name: str) -> None:
    recipe = find_recipe(name)
    assert recipe is not None
    for level in LEVELS if recipe.levels else (None,):
        config = config_of(name, "Si", "O", level=level)
        assert complete(config, ["Si", "O"]) == config
        assert AseOracleConfig.model_validate(config.model_dump(mode="json")) == config
        assert config.parameters and config.structures_per_job


def test_levels_differ_in_cutoff_and_k_point_distance() -> None:
    cutoffs = [config_of("gpaw", "Si", level=level).parameters["mode"]["ecut"] for level in LEVELS]
    assert cutoffs == sorted(set(cutoffs))
    distances = [config_of("vasp", "Si", level=level).kpoints_distance for level in LEVELS]
    assert distances == sorted(set(distances), reverse=True)
    assert config_of("vasp", "Si") == config_of("vasp", "Si", level="balanced").model_copy(update={"level": None})


def test_oxygen_has_a_higher_cutoff_than_silicon() -> None:
    assert config_of("gpaw", "O").parameters["mode"]["ecut"] > config_of("gpaw", "Si").parameters["mode"]["ecut"]


def test_user_settings_have_precedence_over_a_recipe() -> None:
    parameters = {"encut": 333.0, "lasph": None, "isym": 2, "kpts": [3, 3, 3]}
    config = config_of("vasp", "Si", parameters=parameters, vacuum=7.0, structures_per_job=9)
    assert config.parameters["encut"] == 333.0 and "lasph" not in config.parameters
    # The k-points of the recipe, and its parameters of one kind of structure, do not replace those of the user.
    assert config.kpoints_distance is None
    assert config.parameters_by_kind["atom"].get("isym") is None
    assert (config.vacuum, config.structures_per_job, config.command) == (7.0, 9, "vasp_std")
    atom = config_of("vasp", "Si", parameters_by_kind={"atom": {"sigma": 0.01, "ispin": None}}).parameters_by_kind[
        "atom"
    ]
    assert atom == {"sigma": 0.01, "isym": 0}


def test_magnetic_elements_are_computed_with_spin() -> None:
    assert config_of("vasp", "Fe", "O").parameters["ispin"] == 2
    assert "ispin" not in config_of("vasp", "Al").parameters


def test_import_path_gets_no_defaults() -> None:
    config = config_of("ase.calculators.vasp:Vasp", "Si", parameters={"encut": 300.0})
    assert (config.parameters, config.parameters_by_kind, config.vacuum) == ({"encut": 300.0}, {}, None)


@pytest.mark.parametrize("calculator", ["emt", "chgnet"])
def test_level_of_a_calculator_without_levels_is_an_error(calculator: str) -> None:
    with pytest.raises(UserError, match=rf"oracle\.level: the calculator '{calculator}' has no levels"):
        config_of(calculator, "Cu", level="fast")


def test_error_for_an_unknown_calculator_lists_the_known_ones() -> None:
    content = {"elements": ["Si"], "oracle": {"type": "ase", "calculator": "vaspp"}}
    with pytest.raises(UserError, match=r"neither a recipe .*chgnet.*nor an import path"):
        parse_settings(PipelineConfig, content, "CONFIG.yaml")


def test_inputs_of_vasp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for element in ("Si", "Fe"):
        folder = tmp_path / "potentials" / "potpaw_PBE" / element
        folder.mkdir(parents=True)
        (folder / "POTCAR").write_text(f"potential of {element}\n")
    monkeypatch.setenv("VASP_PP_PATH", str(tmp_path / "potentials"))
    monkeypatch.chdir(tmp_path)
    for atoms, incar, mesh in ((bulk("Si"), INCAR, "11 11 11"), (Atoms("Fe"), INCAR_OF_AN_ATOM, "1 1 1")):
        calculator, computed = calculator_for(atoms, "vasp", magnetic_moments={"Fe": 4.0})
        calculator.initialize(computed)
        calculator.write_input(computed)
        assert words(Path("INCAR").read_text()) == words(incar)
        assert Path("KPOINTS").read_text().splitlines()[1:] == ["0", "Gamma", mesh, "0 0 0"]
        assert Path("POTCAR").read_text() == f"potential of {atoms.symbols[0]}\n"
        assert calculator.command == "vasp_std"
    assert computed.pbc.all() and computed.cell.lengths() == pytest.approx([10.0, 10.0, 10.0])


def test_inputs_of_fhi_aims(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for level in ("intermediate", "tight"):
        (tmp_path / level).mkdir()
        for number, element in ((1, "H"), (14, "Si")):
            (tmp_path / level / f"{number:02d}_{element}_default").write_text(f"species {element}\n")
    monkeypatch.chdir(tmp_path)
    parameters = {"species_dir": f"{tmp_path}/{{level}}"}
    cases = (
        (bulk("Si"), {}, CONTROL, ["lattice_vector"] * 3 + ["atom_frac"] * 2),
        (molecule("H2"), {"level": "stringent"}, CONTROL_OF_A_MOLECULE, ["atom"] * 2),
    )
    for atoms, settings, control, geometry in cases:
        calculator, computed = calculator_for(atoms, "aims", parameters=parameters, **settings)
        assert calculator.profile.command == "aims.x"
        with warnings.catch_warnings():
            # A keyword of a plugin that is to replace this part of ASE.
            warnings.simplefilter("ignore", FutureWarning)
            calculator.write_inputfiles(computed, ["energy"])
        assert words(Path("control.in").read_text()) == words(control)
        assert [line[0] for line in words(Path("geometry.in").read_text())] == geometry


def test_inputs_of_orca(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    calculator, computed = calculator_for(molecule("CH3"), "orca")
    calculator.write_inputfiles(computed, ["energy"])
    assert words(Path("orca.inp").read_text()) == words(ORCA)
    assert not computed.pbc.any()


def test_the_mesh_of_cp2k_is_a_section_of_its_input() -> None:
    text = str(config_of("cp2k", "Si").parameters["inp"])
    adapted = adapt({"inp": text, "kpts": [2, 3, 1]}, None)
    assert "kpts" not in adapted
    section = r"&DFT\n\s*&KPOINTS\n\s*SCHEME MONKHORST-PACK 2 3 1\n\s*&END KPOINTS\n\s*&QS"
    assert len(re.findall(section, adapted["inp"])) == 1
    assert adapt({"inp": text, "kpts": [1, 1, 1]}, None) == {"inp": text}
    assert words(with_kpoints("", [2, 2, 2]))[:2] == [["&FORCE_EVAL"], ["&DFT"]]


@pytest.mark.parametrize(
    ("atoms", "charge", "expected"),
    [(Atoms("O"), 0, 3), (Atoms("N"), 0, 4), (molecule("CH3"), 0, 2), (molecule("H2O"), 0, 1), (molecule("H2O"), 1, 2)],
    ids=["O", "N", "CH3", "H2O", "H2O+"],
)
def test_the_multiplicity_is_that_of_the_ground_state(atoms: Atoms, charge: int, expected: int) -> None:
    assert multiplicity(atoms, charge) == expected


@pytest.mark.parametrize("name", [*recipe_names(), "quantumespresso", "lj"])
def test_init_writes_a_config_for_each_oracle(name: str, tmp_path: Path) -> None:
    path = tmp_path / "CONFIG.yaml"
    done = CliRunner().invoke(main, ["init", "--oracle", name, str(path)])
    assert done.exit_code == 0, done.output
    config = parse_settings(PipelineConfig, yaml.safe_load(path.read_text()), str(path))
    assert name in (config.oracle.type, config.oracle.title)
    if find_recipe(name) is not None:
        assert isinstance(config.oracle, AseOracleConfig)
        example = example_config(name, ["Si"]).content["oracle"]
        assert complete(config.oracle, ["Si"]) == complete(AseOracleConfig.model_validate(example), ["Si"])
        assert f"Defaults of {name}" in path.read_text() or not config.oracle.level


def test_init_error_for_an_unknown_oracle_lists_the_known_ones(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["init", "--oracle", "gpaaw", str(tmp_path / "CONFIG.yaml")])
    assert done.exit_code == 1
    assert "'gpaaw': choose from abinit, aims, chgnet" in done.output


def test_weights_belong_to_the_identity_by_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "tiny_model"
    (package / "weights" / "v1").mkdir(parents=True)
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    request = {"calculator": "tiny", "packages": ["tiny_model"], "weights": ["tiny_model:weights/v1/*.tar", "/no/such"]}
    assert "weights are not on this computer" in identify(request)["unknown"]
    weights = package / "weights" / "v1" / "model.tar"
    weights.write_bytes(b"first")
    first = identify(request)
    assert first["unknown"] is None and list(first["files"]) == ["v1/model.tar"]
    weights.write_bytes(b"other")
    other = identify(request)
    assert other["files"] != first["files"] and other["packages"] == first["packages"]


def test_the_version_that_a_code_prints_belongs_to_the_identity(tmp_path: Path) -> None:
    program = tmp_path / "abinit"
    program.write_text("#!/bin/sh\necho some banner\necho 9.8.7\n")
    program.chmod(0o755)
    recipe = find_recipe("abinit")
    assert recipe is not None and recipe.version is not None
    request = {"calculator": "abinit", "parameters": {"command": str(program)}, "version": list(recipe.version)}
    found = identify(request)
    assert (found["unknown"], found["version"]) == (None, "9.8.7")
