"""Invalid values: each gives a clear message, and nothing is written."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from aiida.manage.configuration.profile import Profile
from click.testing import CliRunner

from aiida_mlip_autopipec.app import main
from aiida_mlip_autopipec.cli.common import write_text
from aiida_mlip_autopipec.config.errors import UserError
from aiida_mlip_autopipec.config.schemas.pipeline import PipelineConfig
from aiida_mlip_autopipec.pipelines.builders import build_one_shot

ESCAPE = "\x1b[2J\x1b]0;title\x07"
Failing = Callable[..., str]


@pytest.fixture
def failing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Failing:
    """Run a command that must fail with a message, in a folder with a pipe, links and folders."""
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("x")
    Path("folder").mkdir()
    Path("link").symlink_to("planted")
    os.mkfifo("pipe")

    def run(*arguments: str) -> str:
        before = sorted(Path().iterdir())
        result = CliRunner().invoke(main, list(arguments))
        assert isinstance(result.exception, SystemExit), result.exception
        assert result.exit_code != 0
        assert "\x1b" not in result.output and "\x07" not in result.output and "Traceback" not in result.output
        assert len(result.output) < 3000
        assert sorted(Path().iterdir()) == before
        assert Path("file").read_text() == "x"
        return result.output

    return run


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["init", "file"], "file exists already"),
        (["init", "file/CONFIG.yaml"], "file/CONFIG.yaml cannot be written: Not a directory"),
        (["init", "missing/CONFIG.yaml"], "cannot be written: No such file"),
        (["init", "/proc/CONFIG.yaml"], "/proc/CONFIG.yaml cannot be written"),
        (["init", "link"], "link cannot be written: it is a link"),
        (["init", "pipe"], "pipe cannot be written: it is not a regular file"),
        (["init", "/dev/null"], "/dev/null cannot be written: it is not a regular file"),
        (["init", "folder"], "is a directory"),
        (["init", "a" * 300], "File name too long"),
        (["init", f"{ESCAPE}/x"], "\\x1b[2J"),
        (["init", "-e", ESCAPE], "control characters, line ends and tabs are not allowed"),
        (["init", "-e", "Cu" * 50_000], "not a chemical element"),
        (["run", "folder"], "is a directory"),
        (["run", "pipe"], "not a regular file"),
        (["run", "missing.yaml"], "cannot be read"),
        (["run", "-e", "Cu", "--output", "file"], "is a file"),
        (["run", "-e", "Cu", "--output", "file/x"], "cannot be written to"),
        (["train", "folder"], "is a directory"),
        (["setup", "profile", "--name", ESCAPE], "control characters, line ends and tabs are not allowed"),
        (["setup", "codes", "hpc", "--pw", "/pw\n.x"], "executable"),
        (["setup", "check", ESCAPE, "--no-jobs"], "computer"),
        (["setup", "check", "--wait", "nan"], "wait: nan is not allowed"),
        (["import", "missing.xyz", "--label", ESCAPE], "--label"),
        (["import", "missing.xyz", "--label", "a" * 256], "--label"),
        ([f"command{ESCAPE}"], "No such command"),
        (["status", f"--{ESCAPE}"], "No such option"),
    ],
    ids=lambda value: " ".join(value)[:30].encode("unicode_escape").decode() if isinstance(value, list) else "",
)
def test_invalid_arguments_give_an_error_message(failing: Failing, arguments: list[str], message: str) -> None:
    assert message in failing(*arguments)


@pytest.mark.parametrize("command", ["status", "resume", "kill", "watch", "provenance", "touched", "report"])
@pytest.mark.parametrize(
    ("identifier", "message"),
    [
        (ESCAPE, "does not identify a node"),
        ("9" * 30, "is not a PK"),
        ("9" * 5000, "is not a PK"),
        ("", "does not identify a node"),
        ("nothing", "'nothing' does not identify a node"),
    ],
    ids=["escape", "30", "5000", "empty", "unknown"],
)
def test_identifier_of_no_node_gives_an_error_message(
    failing: Failing, aiida_profile: Profile, command: str, identifier: str, message: str
) -> None:
    assert message in failing(command, identifier, "--profile", aiida_profile.name)


def test_export_refuses_a_number_larger_than_any_pk(failing: Failing, aiida_profile: Profile) -> None:
    for file in ("x.extxyz", "x.yace"):
        assert "is not a PK" in failing("export", "9" * 30, file, "--profile", aiida_profile.name)


def test_written_files_do_not_follow_symbolic_links(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("mine")
    for name in (".page.html.part", "page.html"):
        (tmp_path / name).symlink_to(secret)
    with pytest.raises(UserError, match="it is a link"):
        write_text(tmp_path / "page.html", "new")
    (tmp_path / "page.html").unlink()
    write_text(tmp_path / "page.html", "new")
    assert (secret.read_text(), (tmp_path / "page.html").read_text()) == ("mine", "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".page.html.part", "page.html", "secret"]


def test_error_names_a_missing_profile(failing: Failing) -> None:
    assert "there is no AiiDA profile" in failing("list", "--profile", ESCAPE)


def test_control_characters_of_file_names_are_escaped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    # On a terminal `click` takes no escape sequences out by itself.
    result = CliRunner().invoke(main, ["init", "\x1b[2J.yaml"], color=True)
    assert result.output.startswith("Wrote \\x1b[2J.yaml.")
    assert result.exit_code == 0


@pytest.mark.usefixtures("aiida_profile")
def test_initial_dataset_with_a_number_larger_than_any_pk_is_refused() -> None:
    config = PipelineConfig(elements=["Cu"], initial_dataset=["9" * 30])
    with pytest.raises(UserError, match=r"initial_dataset: '9+' is not a dataset"):
        build_one_shot(config)
