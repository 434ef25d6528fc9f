"""Process builders of runs from their settings, for the command line and for scripts."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from aiida.engine import ProcessBuilder
from aiida.orm import Bool, Dict, List, Str, TrajectoryData, WorkChainNode
from ase import Atoms

from ..config.errors import UserError, shown
from ..config.identifiers import is_beyond_any_pk
from ..config.schemas.pipeline import PipelineConfig, TrainingRunConfig
from ..config.schemas.structures import StructureSource
from ..dataset.frame_files import labelled_file
from ..dataset.intake import check_stored
from ..dataset.library import OWN_METHOD, find_datasets, load_dataset
from ..dataset.trajectory import METHOD, all_frames, is_labelled
from ..generator.structure import StructureGenerator
from ..generator.variations.generator import VariationGenerator
from ..host.computers import prepare_resources
from ..oracle.identity import IDENTITY, unknown_warning
from ..oracle.prepare import prepare_oracle
from ..programs.codes import ensure_code
from ..validation.workchain import ValidationWorkChain
from .active_learning import ActiveLearningWorkChain
from .learning_state import learning_state
from .one_shot import OneShotWorkChain
from .own_data import OwnDataWorkChain
from .potentials import Potential, run_of
from .run_with_teacher import config_of_teacher_run
from .structures import given_trajectories, phases_of, previous_given

logger = logging.getLogger(__name__)


def build_one_shot(
    config: PipelineConfig, *, validate: bool = False, warn: Callable[[str], object] = logger.warning
) -> ProcessBuilder:
    """Return the builder of a :class:`OneShotWorkChain`; check its requirements and store the portable codes.

    :param validate: whether to validate the potential.
    :param warn: called with each warning about the initial dataset.
    :raises UserError: if a computer, code, pseudopotential or the initial dataset is missing or cannot be used.
    """
    given = given_trajectories(config.structures, config.generator, config.elements, warn)
    _check_generator(config, config.generator.count_for(config.elements), given, "generator.count")
    trainer = prepare_resources(config.resources.trainer)
    builder = OneShotWorkChain.get_builder()
    builder.oracle = _prepare_oracle(config, warn)
    builder.trainer.resources = Dict(trainer.model_dump(mode="json"))
    builder.trainer.code = ensure_code("pace_train")
    builder.config = Dict(config.model_dump(mode="json"))
    if given:
        builder.seeds = given
    if config.selection.method != "none":
        builder.selector = ensure_code("select_structures")
    if config.teacher is not None:
        builder.teacher = _prepare_teacher(config, builder.oracle["method"].get_dict(), warn)
    if validate:
        builder.validator = ensure_code("validate_potential")
    if config.initial_dataset:
        builder.initial_dataset = _initial_dataset(config, builder.oracle["method"].get_dict(), warn)
    builder.metadata.label = f"one-shot {'-'.join(sorted(config.elements))}"
    return builder


def build_learning(
    config: PipelineConfig,
    *,
    validate: bool = False,
    previous: WorkChainNode | None = None,
    warn: Callable[[str], object] = logger.warning,
) -> ProcessBuilder:
    """Return the builder of an :class:`ActiveLearningWorkChain`.

    :param validate: whether to validate the last potential.
    :param previous: a run to continue, if it has a potential.
    :param warn: called with each warning about the initial dataset.
    :raises UserError: if a requirement is missing, or the labels of `previous` are of another method.
    """
    if config.selection.method == "none":
        raise UserError(
            "selection: 'none' is only for `mlip-auto run` and `submit`; `learn` needs d_optimal or farthest_point"
        )
    given = previous_given(previous, config) or given_trajectories(
        config.structures, config.generator, config.elements, warn
    )
    _check_generator(config, config.learning.start_for(config.elements), given, "learning.start")
    builder = ActiveLearningWorkChain.get_builder()
    if given:
        builder.seeds = given
    builder.oracle = _prepare_oracle(config, warn)
    builder.trainer.resources = Dict(prepare_resources(config.resources.trainer).model_dump(mode="json"))
    builder.trainer.code = ensure_code("pace_train")
    builder.selector = ensure_code("select_structures")
    builder.explorer = ensure_code("explore_structures")
    builder.validator = ensure_code("validate_potential")
    builder.validate = Bool(validate)
    builder.config = Dict(config.model_dump(mode="json"))
    method = builder.oracle["method"].get_dict()
    if config.initial_dataset:
        builder.initial_dataset = _initial_dataset(config, method, warn)
    state = None if previous is None else learning_state(previous)
    if config.teacher is not None and state is None:
        builder.teacher = _prepare_teacher(config, method, warn)
    if previous is not None and state is not None:
        for trajectory in state.labelled.values():
            _check_method(trajectory, f"run {previous.pk}", method)
        builder.previous = state.inputs()
    builder.metadata.label = f"learn {'-'.join(sorted(config.elements))}"
    return builder


def _prepare_oracle(config: PipelineConfig, warn: Callable[[str], object]) -> dict[str, Any]:
    """Return the inputs of the oracle, after a warning if its labels will not be reused by other runs."""
    inputs = prepare_oracle(config.oracle, config.resources.oracle, config.elements)
    if line := unknown_warning(inputs["method"].get_dict()):
        warn(line)
    return inputs


def _prepare_teacher(config: PipelineConfig, method: dict[str, Any], warn: Callable[[str], object]) -> dict[str, Any]:
    """Return the inputs of the teacher.

    :param method: identity of the labels of the oracle.
    :raises UserError: if the teacher cannot be prepared, or is the oracle itself.
    """
    teacher = config_of_teacher_run(config)
    inputs = _prepare_oracle(teacher, warn)
    if inputs["method"].get_dict() == method:
        raise UserError(
            f"teacher.oracle: {teacher.oracle.title} with these settings is the method of the oracle; set another method"
        )
    _check_generator(teacher, teacher.generator.count_for(config.elements), {}, "teacher.n_structures")
    return {"oracle": inputs, "explorer": ensure_code("explore_structures")}


def _check_generator(config: PipelineConfig, count: int, given: dict[str, TrajectoryData], setting: str) -> None:
    """Raise an error, with the setting that gives the number of structures, if they cannot be generated."""
    try:
        StructureGenerator(config.generator).check(config.elements, count)
        if given:
            VariationGenerator(config.generator, config.elements, all_frames(given)).check(count)
    except ValueError as error:
        raise UserError(f"{setting}: {error}") from error


def _initial_dataset(
    config: PipelineConfig, method: dict[str, Any], warn: Callable[[str], object]
) -> dict[str, TrajectoryData]:
    """Return the trajectories of the stored datasets after checking their elements, method and structures."""
    found: dict[str, TrajectoryData] = {}
    for number, name in enumerate(config.initial_dataset):
        # The name of a dataset may be a number.
        if is_beyond_any_pk(name) and name not in {dataset.name for dataset in find_datasets()}:
            raise UserError(f"initial_dataset: {shown(name)} is not a dataset: the number is larger than any PK")
        try:
            trajectories = load_dataset(name)
        except ValueError as error:
            raise UserError(f"initial_dataset: {error}") from error
        for label, trajectory in trajectories.items():
            foreign_elements = sorted(set(trajectory.symbols) - set(config.elements))
            if foreign_elements:
                raise UserError(
                    f"initial_dataset: '{name}' has {', '.join(foreign_elements)}, not among the elements of the run"
                )
            _check_method(trajectory, f"initial_dataset: '{name}'", method, OWN_METHOD)
            found[f"initial{number}_{label}"] = trajectory
        try:
            for line in check_stored(all_frames(trajectories), f"initial_dataset: '{name}'"):
                warn(line)
        except ValueError as error:
            raise UserError(str(error)) from error
    return found


def _check_method(trajectory: TrajectoryData, name: str, *methods: dict[str, Any]) -> None:
    """Raise a UserError if a trajectory has no labels, or labels of other methods than the given ones."""
    label_method = trajectory.base.attributes.get(METHOD, None)
    # Labels of version 0.1.0 have no identity of the code; naming such a dataset is the user's decision.
    allowed = [*methods, {key: value for key, value in methods[0].items() if key != IDENTITY}]
    if not is_labelled(trajectory) or label_method not in allowed:
        raise UserError(
            f"{name} has labels of the method {label_method}, the run uses {methods[0]}; they cannot be mixed"
        )


def build_training(structures: Sequence[Atoms], config: TrainingRunConfig, name: str) -> ProcessBuilder:
    """Return the builder of an :class:`OwnDataWorkChain` for the user's own data.

    :param structures: as :func:`~..dataset.intake.intake` returns them.
    :param name: name of the data, for lists of runs.
    :raises UserError: if the computer is unknown or not configured, or all structures are test structures.
    """
    if all(atoms.info.get("split") == "test" for atoms in structures):
        raise UserError(f"{name}: all structures are test structures by their 'split'; there is no training structure")
    resources = prepare_resources(config.resources)
    builder = OwnDataWorkChain.get_builder()
    builder.labelled = labelled_file(structures, name)
    builder.config = Dict(config.model_dump(mode="json"))
    builder.trainer.resources = Dict(resources.model_dump(mode="json"))
    builder.trainer.code = ensure_code("pace_train")
    builder.metadata.label = f"train {name}"
    return builder


def build_validation(
    potential: Potential,
    config: PipelineConfig,
    phases: Sequence[StructureSource] = (),
    warn: Callable[[str], object] = logger.warning,
) -> ProcessBuilder:
    """Return the builder of a :class:`ValidationWorkChain` with `oracle`, `validation` and `resources` of a config.

    :param phases: sources of phases in addition to the structures with the role `phase` in the config.
    :param warn: called with each warning about the phases.
    :raises UserError: if a computer, code or pseudopotential is missing, or the potential lacks an element.
    """
    missing = sorted(set(config.elements) - set(potential.elements))
    if missing:
        available = ", ".join(potential.elements)
        raise UserError(f"elements: the potential has {available}, not {', '.join(missing)}")
    resources = prepare_resources(config.resources.trainer)
    builder = ValidationWorkChain.get_builder()
    builder.potential = potential.file
    if potential.active_set:
        builder.active_set = potential.active_set
    builder.elements = List(sorted(config.elements))
    if given := _phases(potential, config, phases, warn):
        builder.phases = given
    builder.settings = Dict(config.validation.model_dump(mode="json"))
    builder.type = Str(config.oracle.type)
    builder.oracle = prepare_oracle(config.oracle, config.resources.oracle, config.elements)
    builder.reuse = Bool(config.oracle.reuse)
    builder.resources = Dict(resources.model_dump(mode="json"))
    builder.code = ensure_code("validate_potential")
    builder.metadata.label = f"validate {'-'.join(sorted(config.elements))}"
    return builder


def _phases(
    potential: Potential, config: PipelineConfig, more: Sequence[StructureSource], warn: Callable[[str], object]
) -> dict[str, TrajectoryData]:
    """Return the phases of a config, from the run that made the potential if it has the same structures, and more phases."""
    stored = previous_given(run_of(potential.file), config)
    own = [] if stored else [source for source in config.structures if source.role == "phase"]
    sources = [*own, *(source.model_copy(update={"role": "phase"}) for source in more)]
    read = given_trajectories(sources, config.generator, config.elements, warn)
    return {**phases_of(stored), **{f"read_{label}": node for label, node in read.items()}}
