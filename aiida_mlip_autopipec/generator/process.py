"""The calcfunction around the structure generator."""

from __future__ import annotations

from aiida.engine import ExitCode, calcfunction
from aiida.orm import Dict, Int, List, TrajectoryData

from ..config.schemas.generator import GeneratorConfig
from ..config.schemas.selection import SelectionConfig
from ..dataset.trajectory import to_trajectories
from .structure import StructureGenerator


@calcfunction
def generate_structures(
    elements: List, count: Int, settings: Dict, selection: Dict | None = None
) -> dict[str, TrajectoryData] | ExitCode:
    """Generate `count` structures of some elements, or those to choose so many of.

    :param settings: a :class:`GeneratorConfig` as dictionary.
    :param selection: a :class:`SelectionConfig` as dictionary, if there is to be a choice.
    :returns: one unlabelled trajectory a formula and periodicity; exit status 310 if the settings cannot be met.
    """
    generator = StructureGenerator(GeneratorConfig.model_validate(settings.get_dict()))
    try:
        if selection is None:
            return to_trajectories(generator.generate(elements.get_list(), count.value))
        choice = SelectionConfig.model_validate(selection.get_dict())
        return to_trajectories(generator.generate_pool(elements.get_list(), count.value, choice.pool, choice.block))
    except ValueError as error:
        return ExitCode(310, f"no structures generated: {error}")
