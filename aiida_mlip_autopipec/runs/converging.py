"""Labels at many settings of an oracle, for `mlip-auto converge`: computed or reused, one labelling for each setting."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from aiida import orm
from aiida.engine import ProcessBuilder
from ase import Atoms

from ..config.cutoff import Cutoff
from ..config.errors import UserError
from ..config.oracles import find_oracle
from ..config.schemas.oracle import OracleBase
from ..config.schemas.pipeline import PipelineConfig
from ..dataset.identity import structure_key
from ..dataset.trajectory import frames_with_source, sort_by_species, to_trajectories
from ..host.computers import LOCALHOST
from ..oracle.convergence import CutoffAndKpoints
from ..oracle.prepare import prepare_oracle
from ..oracle.workchain import LabellingWorkChain

POLL_SECONDS = 1.0

Submit = Callable[[Callable[[], ProcessBuilder]], orm.WorkChainNode]


def find_cutoff(config: PipelineConfig) -> Cutoff:
    """Return the cutoff of the oracle of a config.

    :raises UserError: if it has none, or something that the oracle needs is missing.
    """
    oracle = find_oracle(config.oracle.type)
    inputs = prepare_oracle(config.oracle, config.resources.oracle, config.elements)
    complete = oracle.settings.model_validate(inputs["settings"].get_dict())
    cutoff = None if oracle.cutoff is None else oracle.cutoff(complete)
    if cutoff is None or "kpoints_distance" not in oracle.settings.model_fields:
        raise UserError(
            f"oracle: {config.oracle.title} has no cutoff that could be converged; pw.x, gpaw, cp2k, abinit and vasp have one"
        )
    return cutoff


def with_settings(config: OracleBase, settings: Mapping[str, Any]) -> OracleBase:
    """Return an oracle with other settings, merged key by key into mappings such as `parameters`."""
    content = config.model_dump(mode="json")
    for key, value in settings.items():
        content[key] = {**content[key], **value} if isinstance(value, Mapping) and content.get(key) else value
    return find_oracle(config.type).settings.model_validate(content)


def settings_of(setting: CutoffAndKpoints, cutoff: Cutoff) -> dict[str, Any]:
    """Return a setting as in the section `oracle` of a config."""
    return {**cutoff.settings(setting.cutoff), "kpoints_distance": setting.distance}


class LabelsAtSettings:
    """Labels of structures at many settings.

    :param submit: submits what a function builds.
    :param report_line: gets a line of text for each setting that is done.
    """

    def __init__(
        self, config: PipelineConfig, structures: Sequence[Atoms], submit: Submit, report_line: Callable[[str], object]
    ) -> None:
        self._config, self._submit, self._report_line = config, submit, report_line
        self._structures = [sort_by_species(atoms) for atoms in structures]
        for atoms in self._structures:
            atoms.info = {"family": "convergence"}

    def compute(
        self, settings: Sequence[CutoffAndKpoints], cutoff: Cutoff
    ) -> tuple[dict[CutoffAndKpoints, list[dict[str, Any]]], dict[CutoffAndKpoints, float]]:
        """Return the labels of all structures, and the cost in seconds per structure, by setting.

        :raises UserError: if a structure has no label.
        """
        # On this machine, jobs at the same time would slow each other down and distort the measured cost.
        at_a_time = 1 if self._config.resources.oracle.computer == LOCALHOST else len(settings)
        labels, seconds = {}, {}
        for first in range(0, len(settings), at_a_time):
            chosen = settings[first : first + at_a_time]
            nodes = [self._submit(partial(self._builder, setting, cutoff)) for setting in chosen]
            for setting, node in zip(chosen, nodes, strict=True):
                _wait(node)
                labels[setting], seconds[setting] = self._results(setting, node)
                reused = node.outputs.report["reused"]
                self._report_line(
                    f"{cutoff.name} {setting.cutoff:g} {cutoff.unit}, k-points {setting.distance:g} 1/Å: "
                    f"{len(self._structures) - reused} labels computed, {reused} reused"
                )
        return labels, seconds

    def _builder(self, setting: CutoffAndKpoints, cutoff: Cutoff) -> ProcessBuilder:
        oracle = with_settings(self._config.oracle, settings_of(setting, cutoff))
        builder = LabellingWorkChain.get_builder()
        builder.structures = to_trajectories(self._structures)
        builder.type = orm.Str(oracle.type)
        builder.oracle = prepare_oracle(oracle, self._config.resources.oracle, self._config.elements)
        builder.reuse = orm.Bool(oracle.reuse)
        builder.metadata.label = f"converge {cutoff.name} {setting.cutoff:g}, k-points {setting.distance:g}"
        return builder

    def _results(self, setting: CutoffAndKpoints, node: orm.WorkChainNode) -> tuple[list[dict[str, Any]], float]:
        frames = frames_with_source(node.outputs.labelled) if "labelled" in node.outputs else []
        found = {structure_key(atoms): atoms for atoms in frames}
        keys = [structure_key(atoms) for atoms in self._structures]
        if missing := sum(key not in found for key in keys):
            failed = node.outputs.report["failed"] if "report" in node.outputs else []
            why = failed[0]["reason"] if failed else node.exit_message or node.exception or "killed"
            raise UserError(
                f"cutoff {setting.cutoff:g}, k-points {setting.distance:g} 1/Å: {missing} of {len(keys)} structures have no "
                f"label (process {node.pk}): {why}"
            )
        times = [_seconds(found[key].info["calculation"]) for key in keys]
        return [dict(found[key].calc.results) for key in keys], sum(times) / len(times)


def _seconds(calculation: str) -> float:
    """Return the time in which a calculation made one label, in s; also of a label that is reused."""
    outputs = orm.load_node(calculation).outputs
    if "report" in outputs:
        report = outputs.report.get_dict()
        return float(report["wall_time_s"] or 0.0) / max(1, report["labelled"])
    return float(outputs.output_parameters.get("wall_time_seconds", 0.0)) if "output_parameters" in outputs else 0.0


def _wait(node: orm.WorkChainNode) -> None:
    while not node.is_terminated:
        time.sleep(POLL_SECONDS)
