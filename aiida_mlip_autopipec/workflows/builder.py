"""From settings to a process builder: the one way a run is put together, for the command line and for scripts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aiida.engine import ProcessBuilder
from aiida.orm import Bool, Dict, Float, Int, List, Str, TrajectoryData, WorkChainNode
from ase import Atoms

from ..config.read import ConfigError
from ..config.schemas.pipeline import PipelineConfig, TrainingRunConfig
from ..dataset.library import OWN_METHOD, load_dataset
from ..dataset.process import curate_labels
from ..dataset.trajectory import METHOD, to_trajectories
from ..environment import ensure_code, prepare_resources
from ..generator.structure import StructureGenerator
from ..jobs import failed
from ..oracle.prepare import prepare_oracle
from ..trainer.workflow import PaceTrainWorkChain
from .active_learning import ActiveLearningWorkChain
from .continuing import reached_by
from .one_shot import OneShotWorkChain
from .potentials import Potential
from .validation import ValidationWorkChain


def build_one_shot(config: PipelineConfig, *, validate: bool = False) -> ProcessBuilder:
    """Return the builder of a :class:`OneShotWorkChain`, with all it stands on checked and the portable codes stored.

    :param validate: whether the potential is validated when it is made.
    :raises ConfigError: if a computer, code or pseudopotential is missing or cannot be used.
    """
    _check_generator(config, config.generator.count_for(config.elements))
    trainer = prepare_resources(config.resources.trainer)
    builder = OneShotWorkChain.get_builder()
    builder.oracle = prepare_oracle(config.oracle, config.resources.oracle, config.elements)
    builder.trainer.resources = Dict(trainer.model_dump(mode="json"))
    builder.trainer.code = ensure_code("pace_train")
    builder.config = Dict(config.model_dump(mode="json"))
    if config.selection.method != "none":
        builder.selector = ensure_code("select_structures")
    if validate:
        builder.validator = ensure_code("validate_potential")
    if config.initial_dataset:
        builder.initial_dataset = _initial_dataset(config, builder.oracle["method"].get_dict())
    builder.metadata.label = f"one-shot {'-'.join(config.elements)}"
    return builder


def build_learning(
    config: PipelineConfig, *, validate: bool = False, previous: WorkChainNode | None = None
) -> ProcessBuilder:
    """Return the builder of an :class:`ActiveLearningWorkChain`.

    :param validate: whether the potential is validated in the end.
    :param previous: a run that it goes on from, if that has made a potential.
    :raises ConfigError: if something it stands on is missing, or the labels of `previous` are of another method.
    """
    if config.selection.method == "none":
        raise ConfigError(
            "selection: 'none' is for runs in one go; what is learned from is chosen: d_optimal, farthest_point"
        )
    _check_generator(config, config.learning.start_for(config.elements))
    builder = ActiveLearningWorkChain.get_builder()
    builder.oracle = prepare_oracle(config.oracle, config.resources.oracle, config.elements)
    builder.trainer.resources = Dict(prepare_resources(config.resources.trainer).model_dump(mode="json"))
    builder.trainer.code = ensure_code("pace_train")
    builder.selector = ensure_code("select_structures")
    builder.explorer = ensure_code("explore_structures")
    builder.validator = ensure_code("validate_potential")
    builder.validate = Bool(validate)
    builder.config = Dict(config.model_dump(mode="json"))
    method = builder.oracle["method"].get_dict()
    if config.initial_dataset:
        builder.initial_dataset = _initial_dataset(config, method)
    reached = None if previous is None else reached_by(previous)
    if previous is not None and reached is not None:
        for trajectory in reached.labelled.values():
            _check_method(trajectory, f"run {previous.pk}", method)
        builder.previous = reached.inputs()
    builder.metadata.label = f"learn {'-'.join(config.elements)}"
    return builder


def _check_generator(config: PipelineConfig, count: int) -> None:
    try:
        StructureGenerator(config.generator).check(config.elements, count)
    except ValueError as error:
        raise ConfigError(f"generator: {error}") from error


def _initial_dataset(config: PipelineConfig, method: dict[str, Any]) -> dict[str, TrajectoryData]:
    """Return the trajectories of the stored datasets, if they are of the run's elements and method."""
    found: dict[str, TrajectoryData] = {}
    for number, name in enumerate(config.initial_dataset):
        try:
            trajectories = load_dataset(name)
        except ValueError as error:
            raise ConfigError(f"initial_dataset: {error}") from error
        for label, trajectory in trajectories.items():
            strangers = sorted(set(trajectory.symbols) - set(config.elements))
            if strangers:
                raise ConfigError(
                    f"initial_dataset: '{name}' has {', '.join(strangers)}, not among the elements of the run"
                )
            _check_method(trajectory, f"initial_dataset: '{name}'", method, OWN_METHOD)
            found[f"initial{number}_{label}"] = trajectory
    return found


def _check_method(trajectory: TrajectoryData, name: str, *methods: dict[str, Any]) -> None:
    """Raise a ConfigError if a trajectory has no labels, or labels of other methods than those of the run."""
    made_by = trajectory.base.attributes.get(METHOD, None)
    if "energies" not in trajectory.get_arraynames() or made_by not in methods:
        raise ConfigError(f"{name} is labelled by {made_by}, the run by {methods[0]}; they do not mix")


def build_training(structures: Sequence[Atoms], config: TrainingRunConfig, name: str) -> ProcessBuilder:
    """Return the builder of a :class:`PaceTrainWorkChain` for the user's own data, which become nodes and are curated.

    :param structures: as :func:`~..dataset.intake.intake` returns them.
    :param name: what the data are called, for the lists of runs.
    :raises ConfigError: if the computer is unknown or not configured, or nothing in the data is fit to train on.
    """
    resources = prepare_resources(config.resources)
    outputs, node = curate_labels.run_get_node(
        settings=Dict(config.curation.model_dump(mode="json")),
        test_fraction=Float(config.test_fraction),
        seed=Int(config.seed),
        **to_trajectories(structures, OWN_METHOD),
    )
    if failed(node):
        raise ConfigError(f"{name}: {node.exit_message}")
    outputs.pop("report")
    builder = PaceTrainWorkChain.get_builder()
    builder.dataset = outputs
    builder.settings = Dict(config.training().model_dump(mode="json"))
    builder.resources = Dict(resources.model_dump(mode="json"))
    builder.code = ensure_code("pace_train")
    builder.max_iterations = Int(1 + config.max_restarts)
    builder.metadata.label = f"train {name}"
    return builder


def build_validation(potential: Potential, config: PipelineConfig) -> ProcessBuilder:
    """Return the builder of a :class:`ValidationWorkChain`: what `oracle`, `validation` and `resources` say of a config.

    :raises ConfigError: if a computer, code or pseudopotential is missing, or the potential has not all elements.
    """
    strangers = sorted(set(config.elements) - set(potential.elements))
    if strangers:
        known = ", ".join(potential.elements)
        raise ConfigError(f"elements: the potential knows {known}, not {', '.join(strangers)}")
    resources = prepare_resources(config.resources.trainer)
    builder = ValidationWorkChain.get_builder()
    builder.potential = potential.file
    if potential.active_set:
        builder.active_set = potential.active_set
    builder.elements = List(sorted(config.elements))
    builder.settings = Dict(config.validation.model_dump(mode="json"))
    builder.type = Str(config.oracle.type)
    builder.oracle = prepare_oracle(config.oracle, config.resources.oracle, config.elements)
    builder.reuse = Bool(config.oracle.reuse)
    builder.resources = Dict(resources.model_dump(mode="json"))
    builder.code = ensure_code("validate_potential")
    builder.metadata.label = f"validate {'-'.join(sorted(config.elements))}"
    return builder
