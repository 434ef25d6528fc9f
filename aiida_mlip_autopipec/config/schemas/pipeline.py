"""Settings of a run, from elements to a potential."""

from __future__ import annotations

from typing import Any

from ase.data import atomic_numbers
from pydantic import Field, field_validator, model_validator

from ..oracles import OracleConfig
from .base import ChemicalSymbol, StrictSettings
from .curation import CurationConfig
from .exploration import ExplorationConfig
from .generator import GeneratorConfig
from .learning import LearningConfig
from .oracle import EMT_ELEMENTS, ase_oracle
from .resources import ResourcesConfig
from .selection import SelectionConfig
from .structures import StructureSource
from .teacher import TeacherConfig
from .training import TrainingConfig
from .validation import ValidationConfig

OWN_DATA = CurationConfig(remove_duplicates=False)
"""Curation of the user's own data."""


class StageResources(StrictSettings):
    """Resources of each group of jobs."""

    oracle: ResourcesConfig = ResourcesConfig()
    """The jobs that label structures."""

    teacher: ResourcesConfig = ResourcesConfig()
    """The jobs that label structures with the teacher."""

    trainer: ResourcesConfig = ResourcesConfig()
    """The jobs that select structures, fit the potential, explore with it, evaluate and validate it."""


class TrainingRunConfig(TrainingConfig):
    """A fit to the user's own data: settings of the fit, of the curation, and resources."""

    curation: CurationConfig = OWN_DATA
    """Which labelled structures enter the dataset. Duplicates are kept by default, and the fit averages their labels."""

    resources: ResourcesConfig = ResourcesConfig()
    """Resources of the fit."""

    def training(self) -> TrainingConfig:
        """Return the settings of the fit."""
        return TrainingConfig(**{name: getattr(self, name) for name in TrainingConfig.model_fields})


class PipelineConfig(StrictSettings):
    """Settings of `mlip-auto run`, `submit`, `learn`, `distill` and `validate`."""

    elements: list[ChemicalSymbol] = Field(min_length=1)
    """Chemical symbols of the elements of the potential. With `structures`, they may be omitted in a CONFIG.yaml."""

    structures: list[StructureSource] = Field(default_factory=list)
    """Structures to start from: a list of sources, each with `file` or `node` (a node of AiiDA), and optionally `name`,
    `weight` and `role` (`seed`, `as_is`, `phase`). A source may also be just the path of a file."""

    generator: GeneratorConfig = GeneratorConfig()
    """The structures to generate."""

    selection: SelectionConfig = SelectionConfig()
    """Which of the generated structures are labelled. The name of a `method` may be given instead of a section."""

    oracle: OracleConfig
    """The reference method. By default ASE's effective medium theory, if it supports the elements."""

    teacher: TeacherConfig | None = None
    """A cheap method, such as a foundation model, that finds the structures to label. The name of its ASE calculator may be
    given instead of a section. No teacher if empty."""

    initial_dataset: list[str] = Field(default_factory=list)
    """Datasets that are added to the generated structures: names (`mlip-auto list`), or PKs or UUIDs of datasets or runs. Their
    labels must be from this oracle; labels imported from files are not checked."""

    curation: CurationConfig = CurationConfig()
    """Which labelled structures enter the dataset."""

    training: TrainingConfig = TrainingConfig()
    """The fit of the potential."""

    validation: ValidationConfig = ValidationConfig()
    """How `mlip-auto validate` and `mlip-auto run --validate` compare the potential with the oracle."""

    exploration: ExplorationConfig = ExplorationConfig()
    """How `mlip-auto learn`, and each run with a teacher, search for structures with a large extrapolation grade."""

    learning: LearningConfig = LearningConfig()
    """Budget and targets of `mlip-auto learn`."""

    resources: StageResources = StageResources()
    """Computer and scheduler options of each group of jobs."""

    @field_validator("elements")
    @classmethod
    def _each_element_once(cls, elements: list[str]) -> list[str]:
        twice = sorted({element for element in elements if elements.count(element) > 1})
        if twice:
            raise ValueError(f"{', '.join(twice)} given more than once: list each element once")
        return elements

    @field_validator("structures", mode="before")
    @classmethod
    def _file_alone(cls, structures: Any) -> Any:
        if not isinstance(structures, list):
            return structures
        return [{"file": item} if isinstance(item, str) else item for item in structures]

    @field_validator("selection", mode="before")
    @classmethod
    def _method_alone(cls, selection: Any) -> Any:
        return {"method": selection} if isinstance(selection, str) else selection

    @field_validator("teacher", mode="before")
    @classmethod
    def _calculator_alone(cls, teacher: Any) -> Any:
        return {"oracle": ase_oracle(teacher)} if isinstance(teacher, str) else teacher

    @model_validator(mode="after")
    def _methods_support_the_elements(self) -> PipelineConfig:
        for method in (self.oracle, *([] if self.teacher is None else [self.teacher.oracle])):
            fault = method.unsupported(self.elements)
            if fault is not None:
                raise ValueError(fault)
        return self

    @model_validator(mode="after")
    def _selection_with_a_teacher(self) -> PipelineConfig:
        if self.teacher is not None and self.selection.method == "none":
            raise ValueError(
                "a teacher needs a selection of the structures for the oracle (d_optimal, farthest_point), not 'none'"
            )
        return self

    @model_validator(mode="before")
    @classmethod
    def _default_oracle(cls, data: Any) -> Any:
        if not isinstance(data, dict) or data.get("oracle") is not None:
            return data
        elements = data.get("elements")
        if not isinstance(elements, list) or not all(isinstance(element, str) for element in elements):
            # The elements are invalid; their own validation gives the error.
            return {**data, "oracle": {"type": "ase"}}
        if elements and EMT_ELEMENTS.issuperset(elements):
            return {**data, "oracle": ase_oracle("emt")}
        if not elements or not atomic_numbers.keys() >= set(elements):
            return {**data, "oracle": {"type": "ase"}}
        unknown = ", ".join(element for element in elements if element not in EMT_ELEMENTS)
        raise ValueError(
            f"no oracle given, and the built-in effective medium theory does not support {unknown} "
            f"(only {', '.join(sorted(EMT_ELEMENTS))}). `mlip-auto init {' '.join(f'--element {one}' for one in elements)} "
            "--oracle quantumespresso` writes a CONFIG.yaml with an oracle; or choose one under the key 'oracle', for example "
            "{type: ase, calculator: gpaw}, where the calculator is one of ASE's or an import path. "
            "See docs/how-to/oracles.md"
        )
