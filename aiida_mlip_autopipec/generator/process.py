"""The calcfunction around the structure generator."""

from __future__ import annotations

from aiida.engine import ExitCode, calcfunction
from aiida.orm import Dict, Int, List, TrajectoryData

from ..config.schemas.generator import GeneratorConfig
from ..dataset.trajectory import to_trajectories
from .structure import StructureGenerator


@calcfunction
def generate_structures(elements: List, count: Int, settings: Dict) -> dict[str, TrajectoryData] | ExitCode:
    """Generate `count` structures of some elements.

    :param settings: a :class:`GeneratorConfig` as dictionary.
    :returns: one unlabelled trajectory a formula and periodicity; exit status 310 if the settings cannot be met.
    """
    generator = StructureGenerator(GeneratorConfig.model_validate(settings.get_dict()))
    try:
        structures = generator.generate(elements.get_list(), count.value)
    except ValueError as error:
        return ExitCode(310, f"no structures generated: {error}")
    return to_trajectories(structures)
