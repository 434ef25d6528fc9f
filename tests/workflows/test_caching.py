"""Under AiiDA's caching everything that succeeded is taken from the database, and nothing that failed."""

from __future__ import annotations

import pytest
from aiida import orm
from aiida.engine import run_get_node
from aiida.manage.caching import enable_caching

from aiida_mlip_autopipec.config.schemas.pipeline import PipelineConfig
from aiida_mlip_autopipec.workflows.builder import build_one_shot


def calculations(run: orm.WorkChainNode) -> list[orm.CalculationNode]:
    return [node for node in run.called_descendants if isinstance(node, orm.CalculationNode)]


def run_without_reuse(config: PipelineConfig, **training: object) -> orm.WorkChainNode:
    content = config.model_dump(mode="json")
    content["oracle"].update(reuse=False, parameters={"asap_cutoff": False})
    content["training"].update(training)
    _, node = run_get_node(build_one_shot(PipelineConfig.model_validate(content)))
    return node


def test_a_second_run_is_taken_from_the_cache(small_config: PipelineConfig) -> None:
    first = run_without_reuse(small_config)
    with enable_caching():
        again = run_without_reuse(small_config)
    assert again.is_finished_ok, again.exit_message
    for node in calculations(again):
        assert node.base.caching.is_created_from_cache, node.process_label
    assert again.outputs.potential.get_content() == first.outputs.potential.get_content()


@pytest.mark.parametrize("training", [{"n_functions": 5000}])
def test_what_failed_is_not_taken_from_the_cache(small_config: PipelineConfig, training: dict[str, int]) -> None:
    run_without_reuse(small_config, **training)
    with enable_caching():
        again = run_without_reuse(small_config, **training)
    assert not again.is_finished_ok
    fits = [node for node in calculations(again) if node.process_label.startswith("ShellJob")]
    assert [node.base.caching.is_created_from_cache for node in fits] == [False]
