"""A whole run: from elements to a potential."""

from __future__ import annotations

from typing import Any

from ase.data import atomic_numbers
from pydantic import Field, field_validator, model_validator

from .base import ChemicalSymbol, Settings
from .curation import CurationConfig
from .exploration import ExplorationConfig
from .generator import GeneratorConfig
from .learning import LearningConfig
from .oracle import EMT_ELEMENTS, OracleConfig
from .resources import ResourcesConfig
from .selection import SelectionConfig
from .training import TrainingConfig
from .validation import ValidationConfig

OWN_DATA = CurationConfig(remove_duplicates=False)
"""How the user's own data are curated."""


class StageResources(Settings):
    """Where each stage runs."""

    oracle: ResourcesConfig = ResourcesConfig()
    """The jobs that label structures."""

    trainer: ResourcesConfig = ResourcesConfig()
    """The jobs that select structures, and fit and evaluate the potential."""


class TrainingRunConfig(TrainingConfig):
    """A fit to the user's own data: the settings of the fit, and what surrounds it."""

    curation: CurationConfig = OWN_DATA
    """What of the data goes into the dataset. Equal structures are kept: they are paid for, and the fit averages them."""

    resources: ResourcesConfig = ResourcesConfig()
    """Where the fit runs."""

    def training(self) -> TrainingConfig:
        """Return the settings of the fit alone."""
        return TrainingConfig(**{name: getattr(self, name) for name in TrainingConfig.model_fields})


class PipelineConfig(Settings):
    """The one-shot pipeline: generate, select, label, curate, train."""

    elements: list[ChemicalSymbol] = Field(min_length=1)
    """Chemical symbols of the potential's elements."""

    generator: GeneratorConfig = GeneratorConfig()
    """The structures to label."""

    selection: SelectionConfig = SelectionConfig()
    """Which of many generated structures are labelled; only the `method`, such as `none`, may be written too."""

    oracle: OracleConfig
    """The reference method. Without it, ASE's effective medium theory is used for the elements it knows."""

    initial_dataset: list[str] = Field(default_factory=list)
    """Datasets that are added to what is generated, by name (`mlip-auto list`), PK or UUID, also of runs. Their labels must
    be of this oracle; of those imported from files you answer for it."""

    curation: CurationConfig = CurationConfig()
    """What of the labelled structures goes into the dataset."""

    training: TrainingConfig = TrainingConfig()
    """The fit of the potential."""

    validation: ValidationConfig = ValidationConfig()
    """How the potential is checked against the oracle, by `mlip-auto validate` and `mlip-auto run --validate`."""

    exploration: ExplorationConfig = ExplorationConfig()
    """Where `mlip-auto learn` looks for what the potential does not know."""

    learning: LearningConfig = LearningConfig()
    """How many labels `mlip-auto learn` asks for, and what is enough."""

    resources: StageResources = StageResources()
    """Where each stage runs."""

    @field_validator("elements")
    @classmethod
    def _each_element_once(cls, elements: list[str]) -> list[str]:
        twice = sorted({element for element in elements if elements.count(element) > 1})
        if twice:
            raise ValueError(f"{', '.join(twice)} given more than once")
        return elements

    @field_validator("selection", mode="before")
    @classmethod
    def _method_alone(cls, selection: Any) -> Any:
        return {"method": selection} if isinstance(selection, str) else selection

    @model_validator(mode="after")
    def _oracle_knows_the_elements(self) -> PipelineConfig:
        fault = self.oracle.unsupported(self.elements)
        if fault is not None:
            raise ValueError(fault)
        return self

    @model_validator(mode="before")
    @classmethod
    def _emt_where_it_is_known(cls, data: Any) -> Any:
        if not isinstance(data, dict) or data.get("oracle") is not None:
            return data
        elements = data.get("elements")
        if not isinstance(elements, list) or not all(isinstance(element, str) for element in elements):
            # The elements themselves are wrong: let that be the error.
            return {**data, "oracle": {"type": "ase"}}
        if elements and EMT_ELEMENTS.issuperset(elements):
            return {**data, "oracle": {"type": "ase", "calculator": "emt"}}
        if not elements or not atomic_numbers.keys() >= set(elements):
            return {**data, "oracle": {"type": "ase"}}
        unknown = ", ".join(element for element in elements if element not in EMT_ELEMENTS)
        raise ValueError(
            f"no oracle given, and the built-in effective medium theory does not know {unknown} "
            f"(only {', '.join(sorted(EMT_ELEMENTS))}); choose one under the key 'oracle', for example "
            "{type: ase, calculator: espresso, parameters: {...}}, where the calculator is one of ASE's or an import path"
        )
