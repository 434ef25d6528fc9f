"""Every code block of the documentation is run, or at least parsed by the program that would run it."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import subprocess
from pathlib import Path

import click
import pytest
import yaml
from aiida import orm
from aiida.cmdline.commands.cmd_verdi import verdi
from aiida.manage.configuration import Profile
from ase import Atoms
from ase.io import write
from click.testing import CliRunner

from aiida_mlip_autopipec.app import main
from aiida_mlip_autopipec.config.read import parse_settings

from .blocks import PAGES, ROOT, Block, blocks
from .reference import reference

LANGUAGES = {"bash", "python", "yaml", "toml", "text", "mermaid", "toctree"}

OTHER_PROGRAMS = {
    *("aiida-pseudo", "apt-get", "cd", "git", "hq", "mypy", "pip", "pre-commit", "pytest", "python", "python3", "ruff"),
    *("sphinx-build", "ssh", "su", "~/tensorpot/bin/pip", "twine", ".", ".ci/run"),
}
"""Programs that are not of this package, nor AiiDA's."""

FILES = (
    "CONFIG.yaml",
    "TRAINING.yaml",
    "PROFILE.yaml",
    "PROPERTIES.yaml",
    "VALUES.yaml",
    "hpc.yaml",
    "combined.yaml",
    "small.yaml",
    "copper.extxyz",
    "data.extxyz",
    "potential.aiida",
)
"""Files that the commands read."""

RUN = [block for block in blocks("bash", "python") if (block.kind, block.value) == ("test", "run")]


def test_all_code_blocks_are_found() -> None:
    assert {block.language for block in blocks(*LANGUAGES)} >= {"bash", "python", "yaml"}
    assert len(RUN) > 10
    fences = sum(page.read_text(encoding="utf-8").count("```") for page in PAGES)
    # A block in an unknown language, or with a broken fence, would not be tested; `{directives}` belong to Sphinx.
    directives = sum(len(re.findall(r"^```\{", page.read_text(encoding="utf-8"), re.M)) for page in PAGES)
    assert fences == 2 * (len(blocks(*LANGUAGES)) + directives)


@pytest.mark.parametrize("block", blocks("bash"), ids=str)
def test_commands_are_parsed(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checked = subprocess.run(["bash", "-n", "-c", block.text], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    monkeypatch.chdir(tmp_path)
    for name in FILES:
        (tmp_path / name).touch()
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    assert block.commands
    for program, *words in block.commands:
        if program in ("mlip-auto", "verdi"):
            _parse(main if program == "mlip-auto" else verdi, [{"N": "10"}.get(word, word) for word in words])
        else:
            assert program in OTHER_PROGRAMS, f"{program} is no program known here"


def _parse(command: click.Command, words: list[str]) -> None:
    context = click.Context(command)
    while isinstance(command, click.Group):
        name, *words = words
        found = command.get_command(context, name)
        assert found is not None, f"there is no command {name}"
        command, context = found, click.Context(found, info_name=name, parent=context)
    if context.find_root().command is main:
        command.make_context(context.info_name, list(words))
    else:
        # The profiles and nodes that the words name do not exist here.
        command.make_parser(context).parse_args(list(words))


@pytest.mark.parametrize("block", [block for block in blocks("bash") if block.kind == "run by"], ids=str)
def test_commands_marked_run_by_are_in_that_script(block: Block) -> None:
    script = (ROOT / block.value).read_text(encoding="utf-8")
    parts = [" ".join(words) for words in block.commands if words[0] != "pip"]
    assert parts and all(re.search(rf"^ *{re.escape(part)}\b", script, re.M) for part in parts)


@pytest.mark.parametrize("block", blocks("yaml"), ids=str)
def test_settings_are_valid(block: Block) -> None:
    model = reference.model_of(block.value if block.kind == "config" else "pipeline")
    parse_settings(model, yaml.safe_load(block.text), str(block))


@pytest.mark.parametrize("block", blocks("python"), ids=str)
def test_imports_exist(block: Block) -> None:
    for node in ast.walk(ast.parse(block.text)):
        # A package that a page itself shows is installed by tests/oracle/test_own_oracle.py.
        if isinstance(node, ast.ImportFrom) and not node.level:
            module = importlib.import_module(node.module or "")
            for alias in node.names:
                assert hasattr(module, alias.name) or importlib.util.find_spec(f"{node.module}.{alias.name}")


@pytest.mark.parametrize("page", sorted({block.page for block in RUN}), ids=lambda page: page.stem)
def test_blocks_of_a_page_run(
    page: Path,
    finished_run: orm.WorkChainNode,
    labelled_copper: list[Atoms],
    aiida_profile: Profile,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    write("copper.extxyz", labelled_copper)
    Path("cu").mkdir()
    for name in ("potential", "potential_yaml", "active_set"):
        node = finished_run.outputs[name]
        suffix = {"potential": "yace", "potential_yaml": "yaml", "active_set": "asi"}[name]
        Path(f"cu/potential.{suffix}").write_bytes(node.get_content(mode="rb"))
    Path("cu/metrics.json").write_text(json.dumps(finished_run.outputs.metrics.get_dict()))
    for block in (block for block in RUN if block.page == page):
        if block.language == "python":
            exec(compile(re.sub(r"\bPK\b", str(finished_run.pk), block.text), str(block), "exec"), {})
            continue
        for program, *words in block.commands:
            # Pages share the profile, so that each name of a dataset must occur only once.
            words = [str(finished_run.pk) if word == "PK" else word for word in words]
            group, profile = (main, []) if program == "mlip-auto" else (verdi, ["-p", aiida_profile.name])
            own = ["--profile", aiida_profile.name] if program == "mlip-auto" and words[0] != "init" else []
            done = CliRunner().invoke(group, [*profile, *words, *own])
            assert done.exit_code == 0, f"{block}: {program} {' '.join(words)}: {done.output} {done.exception!r}"


@pytest.mark.parametrize("page", [page for page in PAGES if page.parent == ROOT], ids=lambda page: page.stem)
def test_links_lead_to_files(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 120
