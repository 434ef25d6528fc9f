"""With AiiDA's caching, results of successful processes are reused, and none of failed ones."""

from __future__ import annotations

from aiida import orm
from aiida.engine import run_get_node
from aiida.manage.caching import enable_caching

from aiida_mlip_autopipec.config.schemas.pipeline import PipelineConfig
from aiida_mlip_autopipec.pipelines.builders import build_one_shot


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


def test_a_fit_that_failed_is_not_taken_from_the_cache(small_config: PipelineConfig) -> None:
    run_without_reuse(small_config, n_functions=5000)
    with enable_caching():
        again = run_without_reuse(small_config, n_functions=5000)
    assert not again.is_finished_ok
    fits = [node for node in calculations(again) if node.process_label.startswith("ShellJob")]
    assert [node.base.caching.is_created_from_cache for node in fits] == [False]


def test_structures_that_could_not_be_made_are_not_taken_from_the_cache(small_config: PipelineConfig) -> None:
    builder = build_one_shot(small_config)
    content = small_config.model_dump(mode="json")
    content["generator"]["count"] = 1
    builder.config = orm.Dict(content)
    run_get_node(builder)
    with enable_caching():
        _, again = run_get_node(builder)
    (generator,) = calculations(again)
    assert generator.is_failed and not generator.base.caching.is_created_from_cache
