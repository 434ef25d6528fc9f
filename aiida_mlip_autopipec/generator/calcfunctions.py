"""Calcfunction of the structure generator."""

from __future__ import annotations

from collections.abc import Mapping

from aiida.engine import ExitCode, calcfunction
from aiida.orm import Data, Dict, Int, List, TrajectoryData
from ase import Atoms

from ..config.schemas.generator import GeneratorConfig
from ..config.schemas.selection import SelectionConfig
from ..dataset.frame_files import POOL, pool_file
from ..dataset.trajectory import all_frames, to_trajectories
from .structure import StructureGenerator
from .variations.generator import VariationGenerator


@calcfunction
def generate_structures(
    elements: List, count: Int, settings: Dict, selection: Dict | None = None, **given: TrajectoryData
) -> dict[str, Data] | ExitCode:
    """Generate `count` structures of the elements, or a pool from which to select `count`.

    :param settings: a :class:`GeneratorConfig` as dictionary.
    :param selection: a :class:`SelectionConfig` as dictionary; without it no pool is generated.
    :param given: the user's structures, see :class:`~.variations.generator.VariationGenerator`.
    :returns: one unlabelled trajectory for each formula and periodicity, or the `pool` as one file; exit status 310 if the
        settings cannot be met.
    """
    config = GeneratorConfig.model_validate(settings.get_dict())
    pool = None if selection is None else SelectionConfig.model_validate(selection.get_dict())
    try:
        structures = _generate(config, elements.get_list(), count.value, pool, given)
    except ValueError as error:
        return ExitCode(310, f"no structures generated: {error}")
    return dict(to_trajectories(structures)) if pool is None else {POOL: pool_file(structures)}


def _generate(
    config: GeneratorConfig,
    elements: list[str],
    count: int,
    pool: SelectionConfig | None,
    given: Mapping[str, TrajectoryData],
) -> list[Atoms]:
    if given:
        from_given = VariationGenerator(config, elements, all_frames(given))
        return from_given.generate(count) if pool is None else from_given.generate_pool(count, pool.pool, pool.block)
    generator = StructureGenerator(config)
    if pool is None:
        return generator.generate(elements, count)
    return generator.generate_pool(elements, count, pool.pool, pool.block)
