"""Messages on invalid settings name the key, the value and what is allowed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from aiida_mlip_autopipec.config.errors import UserError
from aiida_mlip_autopipec.config.read import parse_settings, read_yaml
from aiida_mlip_autopipec.config.schemas.learning import LearningConfig
from aiida_mlip_autopipec.config.schemas.pipeline import PipelineConfig


def error_of(content: dict) -> str:
    with pytest.raises(UserError) as caught:
        parse_settings(PipelineConfig, content, "CONFIG.yaml")
    return str(caught.value)


def test_message_names_a_misspelt_key_and_the_allowed_ones() -> None:
    message = error_of({"elements": ["Cu"], "oracle": {"type": "ase", "structures_per_jobs": 3}})
    assert "oracle.structures_per_jobs: unknown key; did you mean 'structures_per_job'?" in message
    assert "seconds_per_structure" in message


def test_message_names_a_wrong_value_and_its_limit() -> None:
    message = error_of({"elements": ["Cu"], "oracle": {"max_failed_fraction": 1.5}})
    assert "oracle.max_failed_fraction: 1.5 is not allowed: must be a number from 0 to 1" in message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"generator": 5}, "generator: 5 is not allowed: must be a section of keys"),
        ({"elements": "Cu"}, "elements: 'Cu' is not allowed: must be a list: write [Cu]"),
        ({"elements": ["cu"]}, "elements.0: 'cu' is not allowed: not a chemical element; did you mean Cu?"),
        ({"elements": ["Cu,Ni"]}, "--element Cu --element Ni"),
        ({"training": {"cutoff": -3}}, "training.cutoff: -3 is not allowed: must be a number from 2 to 15, or 'auto'"),
        ({"training": {"order": "lots"}}, "training.order: 'lots' is not allowed: must be a whole number from 1 to 6"),
        ({"training": {"engine": 1}}, "training.engine: 1 is not allowed: must be 'linear' or 'nonlinear'"),
        ({"training": {"ridge": 0}}, "training.ridge: 0 is not allowed: must be a number, above 0, or 'auto'"),
        ({"curation": {"remove_duplicates": "often"}}, "'often' is not allowed: must be true or false"),
    ],
)
def test_message_on_a_wrong_value_has_no_wording_of_pydantic(content: dict[str, Any], message: str) -> None:
    found = error_of({"elements": ["Cu"], **content})
    assert message in found, found
    assert "input should" not in found and len(found.splitlines()) == 2


def test_the_keys_of_a_section_are_listed_once() -> None:
    message = error_of({"elements": ["Cu"], "generatr": {}, "trainin": {}, "training": {"cutof": 5}})
    assert message.count("initial_dataset") == 1 and message.count("max_functions") == 1


def test_every_error_is_reported_at_once() -> None:
    message = error_of({"elements": ["Cu", "Cu"], "generatr": {}, "oracle": {"structures_per_job": 0}})
    assert len(message.splitlines()) == 4


def test_message_explains_unknown_elements_and_no_as_false() -> None:
    assert "'Xx' is not allowed: not a chemical element" in error_of({"elements": ["Xx"]})
    assert "write symbols in quotes, such as ['No']" in error_of({"elements": [False]})
    assert "must be a list (YAML reads No as false" in error_of({"elements": False})


def test_empty_sections_have_their_defaults() -> None:
    content = {"elements": ["Cu"], "generator": None, "training": {"n_functions": 20}, "exploration": {"walkers": None}}
    config = parse_settings(PipelineConfig, content, "test")
    assert config.generator == PipelineConfig(elements=["Cu"]).generator and config.training.n_functions == 20
    assert "None is not allowed" in error_of({"elements": ["Cu"], "generator": {"min_distance_fraction": None}})


def test_start_of_active_learning_is_within_its_budget() -> None:
    assert LearningConfig().start_for(["Cu"]) == 40
    assert LearningConfig(max_labels=12).start_for(["Cu", "Au"]) == 12


def test_message_for_elements_without_default_oracle_names_choices() -> None:
    message = error_of({"elements": ["Si"]})
    assert "does not support Si" in message
    assert "oracle" in message


def test_emt_is_the_default_oracle_of_its_elements() -> None:
    config = PipelineConfig(elements=["Cu", "Au"])
    assert (config.oracle.type, config.oracle.calculator) == ("ase", "emt")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("elements: [Cu", "is not valid YAML"),
        ("elements: [Cu]\nelements: [Al]\n", "key 'elements' is given twice"),
        ("- Cu\n", "must hold keys and values, not a list"),
    ],
)
def test_invalid_yaml_is_an_error(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "CONFIG.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=reason):
        read_yaml(path)


def test_exponents_are_numbers_and_other_texts_with_e_are_not(tmp_path: Path) -> None:
    path = tmp_path / "CONFIG.yaml"
    path.write_text("small: 1e-5\nlarge: 2.E3\nname: 2e4755dc5ec01c4f\nversion: 1e5.2\n")
    assert read_yaml(path) == {"small": 1e-5, "large": 2000.0, "name": "2e4755dc5ec01c4f", "version": "1e5.2"}


@pytest.mark.parametrize("password", ["0123", "2e47", "1_000", "yes", "12:30", "0x1F", "12345678"])
def test_passwords_are_read_as_they_are_written(password: str, tmp_path: Path) -> None:
    path = tmp_path / "profile.yaml"
    path.write_text(f"postgres:\n  password: {password}\n")
    assert read_yaml(path) == {"postgres": {"password": password}}


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        read_yaml(tmp_path / "CONFIG.yaml")


def test_an_empty_file_is_empty_settings(tmp_path: Path) -> None:
    path = tmp_path / "CONFIG.yaml"
    path.write_text("# nothing yet\n")
    assert read_yaml(path) == {}


def test_a_teacher_may_be_named_by_its_calculator_alone() -> None:
    config = parse_settings(PipelineConfig, {"elements": ["Cu", "Au"], "teacher": "chgnet"}, "CONFIG.yaml")
    assert config.teacher is not None and config.teacher.oracle.title == "chgnet"
    assert config.teacher.count_for(config.elements) == 1000
    assert PipelineConfig.model_validate(config.model_dump(mode="json")) == config
    assert "teacher.oracle: is required" in error_of({"elements": ["Cu"], "teacher": {"n_structures": 10}})
    assert "teacher: 'oracle of delphi' is not allowed" in error_of({"elements": ["Cu"], "teacher": "oracle of delphi"})
    assert "does not support Si" in error_of(
        {"elements": ["Si"], "oracle": {"type": "ase", "calculator": "gpaw"}, "teacher": "emt"}
    )
    assert "a teacher needs a selection" in error_of({"elements": ["Cu"], "teacher": "chgnet", "selection": "none"})


def test_a_selection_may_be_named_by_its_method_alone() -> None:
    config = parse_settings(PipelineConfig, {"elements": ["Cu"], "selection": "none"}, "CONFIG.yaml")
    assert config.selection.method == "none"
    assert PipelineConfig.model_validate(config.model_dump(mode="json")) == config
    assert "selection: 'best' is not allowed" in error_of({"elements": ["Cu"], "selection": "best"})
    assert "selection" in error_of({"elements": ["Cu"], "selection": ["none"]})
