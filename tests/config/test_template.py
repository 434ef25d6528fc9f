"""The annotated file has every setting, and reading it gives the same settings."""

from __future__ import annotations

from pathlib import Path

from ase.calculators.emt import parameters
from pydantic import BaseModel

from aiida_mlip_autopipec.config.read import parse_settings, read_yaml
from aiida_mlip_autopipec.config.schemas.oracle import EMT_ELEMENTS
from aiida_mlip_autopipec.config.schemas.pipeline import PipelineConfig
from aiida_mlip_autopipec.config.template import annotated_yaml


def test_written_settings_are_read_back_unchanged(tmp_path: Path) -> None:
    config = PipelineConfig(elements=["Cu", "Al"])
    path = tmp_path / "CONFIG.yaml"
    path.write_text(annotated_yaml(config))
    assert parse_settings(PipelineConfig, read_yaml(path), str(path)) == config


def test_every_setting_is_described() -> None:
    def undescribed(model: type[BaseModel]) -> list[str]:
        missing = [f"{model.__name__}.{name}" for name, field in model.model_fields.items() if not field.description]
        for field in model.model_fields.values():
            if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
                missing += undescribed(field.annotation)
        return missing

    assert undescribed(PipelineConfig) == []


def test_description_is_the_comment_above_its_setting() -> None:
    text = annotated_yaml(PipelineConfig(elements=["Cu"]))
    lines = text.splitlines()
    position = lines.index("  max_attempts: 3")
    assert lines[position - 1].startswith("  # Maximum number of submissions")


def test_the_elements_of_effective_medium_theory_are_those_of_ase() -> None:
    """They are written out in the settings, since ASE's module takes long to import."""
    assert set(parameters) == EMT_ELEMENTS
