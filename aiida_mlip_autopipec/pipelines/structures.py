"""The given structures of a run: from files and nodes to the inputs of its processes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from aiida.common.exceptions import MultipleObjectsError, NotExistent
from aiida.orm import Group, Node, StructureData, TrajectoryData, WorkChainNode, load_group, load_node
from ase import Atoms
from pydantic import ValidationError

from ..config.errors import UserError, shown
from ..config.identifiers import is_beyond_any_pk
from ..config.schemas.generator import GeneratorConfig
from ..config.schemas.pipeline import PipelineConfig
from ..config.schemas.structures import StructureSource
from ..dataset.dimension import dimensionality_of
from ..dataset.files.geometry import read_geometries
from ..dataset.given_structures import prepare_given
from ..dataset.species import elements_of
from ..dataset.trajectory import to_atoms, to_trajectories

Warn = Callable[[str], object]


def _ignore(_line: str) -> None:
    """Ignore a warning that was given before."""


def load_given(sources: Sequence[StructureSource], config: GeneratorConfig, warn: Warn = _ignore) -> list[Atoms]:
    """Return the user's structures, see :func:`~..dataset.given_structures.prepare_given`.

    :raises UserError: naming source, frame and site of a structure that cannot be used.
    """
    found = []
    for source in sources:
        try:
            frames, origins = _frames_of(source)
            given = prepare_given(frames, source, max_atoms=config.max_given_atoms, origins=origins, warn=warn)
            found += _checked(given, source)
        except ValueError as error:
            raise UserError(f"structures: {error}") from error
    return found


def _checked(given: list[Atoms], source: StructureSource) -> list[Atoms]:
    """Return structures after checking that phases are crystals.

    :raises ValueError: naming the structure that is none.
    """
    if source.role == "phase":
        for atoms in given:
            if (kind := dimensionality_of(atoms)) != "crystal":
                raise ValueError(
                    f"{atoms.info['origin']}: is a {kind}, but a phase must be a crystal; give it the role 'seed' or 'as_is'"
                )
    return given


def given_trajectories(
    sources: Sequence[StructureSource], config: GeneratorConfig, elements: Sequence[str], warn: Warn = _ignore
) -> dict[str, TrajectoryData]:
    """Return the user's structures as unstored trajectories by label.

    :raises UserError: as :func:`load_given`; also if they have an element that is not among those of the run.
    """
    given = load_given(sources, config, warn)
    for atoms in given:
        foreign = sorted(set(atoms.get_chemical_symbols()) - set(elements))
        if foreign:
            raise UserError(
                f"structures: {atoms.info['origin']}: has {', '.join(foreign)}, not among the elements of the run "
                f"({', '.join(elements)})"
            )
    return to_trajectories(given)


def phases_of(given: Mapping[str, TrajectoryData]) -> dict[str, TrajectoryData]:
    """Return the trajectories with a structure of the role `phase`."""
    return {
        label: node for label, node in given.items() if any(atoms.info["role"] == "phase" for atoms in to_atoms(node))
    }


def previous_given(previous: WorkChainNode | None, config: PipelineConfig) -> dict[str, TrajectoryData]:
    """Return the stored structures of a run that is continued with the same structures; their files are not needed again."""
    if previous is None or "seeds" not in previous.inputs:
        return {}
    before = PipelineConfig.model_validate(previous.inputs.config.get_dict())
    return dict(previous.inputs.seeds) if before.structures == config.structures else {}


def with_structures(content: dict[str, Any], files: Iterable[Path], folder: Path | None) -> dict[str, Any]:
    """Return settings with more structures, absolute paths, and the elements of the structures if they name none.

    :param content: the settings as read from a file.
    :param files: additional files.
    :param folder: folder to which paths in the settings are relative; by default the current one.
    :raises UserError: if a structure cannot be used.
    """
    given = content.get("structures") or []
    if not isinstance(given, list):
        return content
    base = folder or Path.cwd()
    items = [_absolute({"file": item} if isinstance(item, str) else item, base) for item in given]
    items += [{"file": str(path.absolute())} for path in files]
    if not items:
        return content
    completed = {**content, "structures": items}
    if not content.get("elements"):
        try:
            sources = [StructureSource.model_validate(item) for item in items]
            generator = GeneratorConfig.model_validate(content.get("generator") or {})
        except ValidationError:
            # The settings are invalid; their own validation gives the error.
            return completed
        completed["elements"] = elements_of(load_given(sources, generator))
    return completed


def _absolute(item: Any, folder: Path) -> Any:
    if isinstance(item, dict) and isinstance(item.get("file"), str) and item["file"]:
        return {**item, "file": str((folder / item["file"]).absolute())}
    return item


def _frames_of(source: StructureSource) -> tuple[list[Atoms], list[str]]:
    """Return the structures of a source and the origin of each."""
    if source.file is not None:
        frames = read_geometries(Path(source.file))
        return frames, [f"{source.title}, frame {number}" for number in range(len(frames))]
    pairs = [pair for node in _nodes_of(str(source.node)) for pair in _frames_of_node(node)]
    if not pairs:
        raise ValueError(f"{source.title}: contains no structures")
    return [atoms for atoms, _ in pairs], [origin for _, origin in pairs]


def _nodes_of(identifier: str) -> list[Node]:
    """Return a node, or the structures in a group."""
    try:
        if not is_beyond_any_pk(identifier):
            return [load_node(identifier)]
    except (NotExistent, MultipleObjectsError, ValueError):
        pass
    try:
        group: Group = load_group(label=identifier)
    except (NotExistent, MultipleObjectsError, ValueError):
        raise ValueError(
            f"{shown(identifier)}: there is no node of this PK or UUID, and no group of this label"
        ) from None
    return list(group.nodes)


def _frames_of_node(node: Node) -> list[tuple[Atoms, str]]:
    title = f"node {node.uuid}"
    if isinstance(node, TrajectoryData):
        try:
            frames = to_atoms(node)
        except ValueError as error:
            raise ValueError(f"{title}: {error}") from error
        return [(atoms, f"{title}, frame {step}") for step, atoms in enumerate(frames)]
    if isinstance(node, StructureData):
        for kind in node.kinds:
            if kind.is_alloy or kind.has_vacancies:
                raise ValueError(f"{title}, site {kind.name}: is not fully occupied by one element")
        return [(node.get_ase(), f"{title}, {node.label or 'frame 0'}")]
    raise ValueError(
        f"{title}: is a {type(node).__name__}; a StructureData, a TrajectoryData or a group of them is needed"
    )
