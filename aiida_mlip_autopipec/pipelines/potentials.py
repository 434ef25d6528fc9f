"""Potentials from nodes of this profile or from files."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from aiida import orm

from ..config.errors import UserError
from ..config.schemas.pipeline import PipelineConfig
from ..programs.program import link_label
from ..training.workchain import OUTPUTS
from .own_data import OwnDataWorkChain

_ELEMENTS = re.compile(r"^elements:\s*\[([^\]]*)\]", re.MULTILINE)


@dataclass(frozen=True)
class Potential:
    """A potential: its file, its elements, and the files for extrapolation grades (`yaml`, `asi`), if available."""

    file: orm.SinglefileData
    elements: tuple[str, ...]
    active_set: dict[str, orm.SinglefileData] = field(default_factory=dict)


def stored_potential(node: orm.Node) -> Potential:
    """Return the potential of a node, which is a potential or a run.

    :raises UserError: if the node has no potential.
    """
    if isinstance(node, orm.ProcessNode) and "potential" in node.outputs:
        node = node.outputs.potential
    if not isinstance(node, orm.SinglefileData):
        raise UserError(
            f"node {node.pk} is a {type(node).__name__}, not a potential: `mlip-auto list` shows potentials"
        )
    return Potential(node, elements_of_potential(node.get_content(mode="rb"), f"node {node.pk}"), _active_set_of(node))


def potential_from_file(path: Path) -> Potential:
    """Store a `.yace` file, and its `.yaml` and `.asi` files if both are in the same folder; reuse stored files.

    :raises UserError: if a file cannot be read, or the `.yace` file is no potential.
    """
    elements = elements_of_potential(_read(path), str(path))
    companions = {suffix: path.with_suffix(f".{suffix}") for suffix in ("yaml", "asi")}
    complete = all(companion.is_file() for companion in companions.values())
    active_set = {suffix: _stored(companion, elements) for suffix, companion in companions.items()} if complete else {}
    return Potential(_stored(path, elements), elements, active_set)


def elements_of_potential(content: bytes, origin: str) -> tuple[str, ...]:
    """Return the elements of the potential in a `.yace` file.

    :param origin: source of the file, for the error message.
    :raises UserError: if there are none.
    """
    found = _ELEMENTS.search(content.decode("utf-8", errors="replace"))
    symbols = [word.strip().strip("'\"") for word in found.group(1).split(",")] if found else []
    if not any(symbols):
        raise UserError(f"{origin}: is not a potential in the format of .yace files: it names no elements")
    return tuple(symbols)


def config_of_run_behind(potential: orm.SinglefileData) -> PipelineConfig | None:
    """Return the settings of the newest run with an oracle that created a potential, None if there is none."""
    run = run_of(potential)
    return None if run is None else PipelineConfig.model_validate(run.inputs.config.get_dict())


def run_of(potential: orm.SinglefileData) -> orm.WorkChainNode | None:
    """Return the newest run with an oracle that created a potential, None if there is none.

    A fit to own data has no oracle: the method of its labels is not known, and its settings are a `TrainingRunConfig`.
    """
    query = orm.QueryBuilder()
    query.append(orm.SinglefileData, filters={"uuid": potential.uuid}, tag="potential")
    has_oracle = {"attributes.process_label": {"!==": OwnDataWorkChain.__name__}}
    query.append(orm.WorkChainNode, with_outgoing="potential", tag="run", filters=has_oracle, project=["*"])
    query.append(orm.Dict, with_outgoing="run", edge_filters={"label": "config"})
    query.order_by({"run": {"id": "desc"}})
    run: orm.WorkChainNode | None = query.first(flat=True)
    return run


def _active_set_of(potential: orm.SinglefileData) -> dict[str, orm.SinglefileData]:
    fit = potential.creator
    if fit is None:
        return {}
    names = {"yaml": link_label(OUTPUTS["potential_yaml"]), "asi": link_label(OUTPUTS["active_set"])}
    if not all(name in fit.outputs for name in names.values()):
        return {}
    return {suffix: fit.outputs[name] for suffix, name in names.items()}


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from error


def _stored(path: Path, elements: tuple[str, ...]) -> orm.SinglefileData:
    content = _read(path)
    query = orm.QueryBuilder().append(orm.SinglefileData, filters={"attributes.filename": path.name}, project=["*"])
    for (node,) in query.iterall():
        if node.get_content(mode="rb") == content:
            return node
    node = orm.SinglefileData(path.resolve())
    node.label = path.stem
    node.description = f"Imported potential: {path.name}"
    node.base.attributes.set("elements", list(elements))
    return node.store()
