"""With AiiDA's caching, results of successful processes are reused, results of failed ones are not."""

from __future__ import annotations

import pytest
from aiida import orm
from aiida.engine import run_get_node
from aiida.manage.caching import enable_caching

from aiida_mlip_autopipec.config.errors import UserError
from aiida_mlip_autopipec.config.schemas.pipeline import PipelineConfig
from aiida_mlip_autopipec.pipelines.builders import build_one_shot
from aiida_mlip_autopipec.pipelines.one_shot import OneShotWorkChain


def calculations(run: orm.WorkChainNode) -> list[orm.CalculationNode]:
    return [node for node in run.called_descendants if isinstance(node, orm.CalculationNode)]


def run_again(config: PipelineConfig, **training: object) -> orm.WorkChainNode:
    """Run the pipeline with caching, and without reuse of labels."""
    content = config.model_dump(mode="json")
    content["oracle"].update(reuse=False)
    content["training"].update(training)
    builder = build_one_shot(PipelineConfig.model_validate(content))
    with enable_caching():
        _, node = run_get_node(builder)
    return node


def test_second_run_is_taken_from_the_cache(finished_run: orm.WorkChainNode, small_config: PipelineConfig) -> None:
    again = run_again(small_config)
    assert again.is_finished_ok, again.exit_message
    for node in calculations(again):
        assert node.base.caching.is_created_from_cache, node.process_label
    assert again.outputs.potential.get_content() == finished_run.outputs.potential.get_content()


def test_failed_fit_is_not_taken_from_the_cache(finished_run: orm.WorkChainNode, small_config: PipelineConfig) -> None:
    for node in (run_again(small_config, n_functions=5000) for _ in range(2)):
        assert node.exit_status == OneShotWorkChain.exit_codes.ERROR_TRAINING_FAILED.status
        assert "5000 functions" in node.exit_message
        assert "label more structures" in node.exit_message
        fits = [called for called in calculations(node) if called.process_label.startswith("ShellJob")]
        assert [fit.base.caching.is_created_from_cache for fit in fits] == [False]


def test_failed_generation_is_not_taken_from_the_cache(small_config: PipelineConfig) -> None:
    content = small_config.model_dump(mode="json")
    content["generator"]["count"] = 1
    with pytest.raises(UserError, match="at least 2 are needed"):
        build_one_shot(PipelineConfig.model_validate(content))
    builder = build_one_shot(small_config)
    builder.config = orm.Dict(content)
    for _ in range(2):
        with enable_caching():
            _, node = run_get_node(builder)
        assert node.exit_status == OneShotWorkChain.exit_codes.ERROR_GENERATION_FAILED.status
        assert "at least 2 are needed" in node.exit_message
        (generator,) = calculations(node)
        assert generator.is_failed and not generator.base.caching.is_created_from_cache
