"""Wrong files and arguments give a message of one line, without a traceback."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from ase.build import bulk
from ase.io import write
from click.testing import CliRunner, Result

from aiida_mlip_autopipec.app import main

Run = Callable[..., Result]


@pytest.fixture
def mlip_auto(daemon_here: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run a command in this process, in the temporary folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(main, list(arguments))


def test_init_writes_a_valid_config_and_never_overwrites(mlip_auto: Run, tmp_path: Path) -> None:
    done = mlip_auto("init", "--element", "Al")
    assert done.exit_code == 0
    written = (tmp_path / "CONFIG.yaml").read_text()
    assert "elements" in written and "cutoff" in written and "#" in written
    assert yaml.safe_load(written)["elements"] == ["Al"]
    again = mlip_auto("init")
    assert again.exit_code == 1 and "exists already" in again.output
    assert (tmp_path / "CONFIG.yaml").read_text() == written


def test_each_command_has_a_summary_of_one_line(mlip_auto: Run) -> None:
    lines = mlip_auto("--help").output.split("Commands:\n")[1].splitlines()
    assert len(lines) == len([name for name, command in main.commands.items() if not command.hidden])
    assert not any("..." in line for line in lines) and "run-cycle-02" not in " ".join(lines)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("elements: [Cu]\ntraining: {cutof: 5}\n", "training.cutof: unknown key; did you mean 'cutoff'?"),
        ("elements: [Cu]\ntraining: {order: 9}\n", "training.order: 9 is not allowed"),
        ("elements: [Xx]\n", "'Xx' is not allowed: not a chemical element"),
        ("elements: [Si]\n", "choose one under the key 'oracle'"),
        ("elements: [Cu\n", "is not valid YAML"),
        ("- Cu\n", "must hold keys and values"),
        ("# nothing\n", "CONFIG.yaml: the file is empty; `mlip-auto init NEW.yaml` writes one"),
        ("elements: [Cu]\nresources: {oracle: {computer: nowhere}}\n", "there is no AiiDA computer 'nowhere'"),
    ],
)
def test_invalid_config_gives_a_message_without_traceback(
    mlip_auto: Run, tmp_path: Path, content: str, message: str
) -> None:
    (tmp_path / "CONFIG.yaml").write_text(content)
    done = mlip_auto("run", "CONFIG.yaml")
    assert done.exit_code == 1
    assert message in done.output
    assert "Traceback" not in done.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run"], "name a CONFIG.yaml, an --element or --structures"),
        (["run", "missing.yaml"], "No such file"),
        (["run", "--element", "Si"], "`mlip-auto init --element Si --oracle quantumespresso` writes a CONFIG.yaml"),
        (["run", "--element", "cu"], "did you mean Cu?"),
        (["run", "--structures", "Si.cif"], "--structures: these settings cannot be used"),
        (["run", "Si.cif"], "Si.cif: is a structure file, not a CONFIG.yaml"),
        (
            ["train", "Si.cif", "--config", "RUN.yaml"],
            "this looks like the config of `run` (it has elements, generator)",
        ),
        (["runn"], "No such command 'runn'. Did you mean 'run'?"),
        (
            ["submit", "--element", "Cu", "--teacher", "oracle of delphi"],
            "teacher.oracle.calculator: 'oracle of delphi' is",
        ),
        (["run", "--element", "Cu", "--profile", "nobody"], "there is no AiiDA profile 'nobody'"),
        (["run", "--element", "Cu", "--output", "/proc/here"], "cannot be written to"),
        (["watch", "999999"], "`mlip-auto status` lists the runs"),
        (["provenance", "no-such-node"], "does not identify a node"),
    ],
)
def test_wrong_arguments_give_a_message(mlip_auto: Run, tmp_path: Path, arguments: list[str], message: str) -> None:
    write(tmp_path / "Si.cif", bulk("Si"))
    (tmp_path / "RUN.yaml").write_text("elements: [Si]\ngenerator: {count: 5}\n")
    done = mlip_auto(*arguments)
    assert done.exit_code in (1, 2)
    assert message in done.output
    assert "Traceback" not in done.output


@pytest.mark.parametrize("command", ["run", "submit", "learn"])
def test_two_teachers_are_refused(mlip_auto: Run, tmp_path: Path, command: str) -> None:
    (tmp_path / "CONFIG.yaml").write_text("elements: [Cu]\nteacher: chgnet\n")
    done = mlip_auto(command, "CONFIG.yaml", "--teacher", "emt")
    assert done.exit_code == 1
    assert "names a teacher, and so does --teacher; remove one of them" in done.output
