"""From settings to a process builder: the one way a run is put together, for the command line and for scripts."""

from __future__ import annotations

from aiida.engine import ProcessBuilder
from aiida.orm import Dict

from ..config.schemas.pipeline import PipelineConfig, StageResources
from ..environment import ensure_code, ensure_computer, with_this_python
from .one_shot import OneShotWorkChain


def build_one_shot(config: PipelineConfig) -> ProcessBuilder:
    """Return the builder of a :class:`OneShotWorkChain`, with the computers checked and the portable codes stored.

    :raises ConfigError: if a computer is unknown or not configured.
    """
    stages = {name: getattr(config.resources, name) for name in StageResources.model_fields}
    for stage in stages.values():
        ensure_computer(stage.computer)
    resources = StageResources(**{name: with_this_python(stage) for name, stage in stages.items()})
    complete = config.model_copy(update={"resources": resources})

    builder = OneShotWorkChain.get_builder()
    builder.config = Dict(complete.model_dump(mode="json"))
    builder.oracle_code = ensure_code("label_structures")
    builder.trainer_code = ensure_code("pace_train")
    builder.metadata.label = f"one-shot {'-'.join(config.elements)}"
    return builder
