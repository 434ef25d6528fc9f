"""`mlip-auto setup` on one machine."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ..conftest import Command


def test_profile_is_created_and_an_existing_one_is_not_changed(new_machine: Command) -> None:
    made = new_machine("setup", "profile", "--name", "mine")
    assert made.returncode == 0 and "'mine'" in made.stdout, made.stderr
    again = new_machine("setup", "profile", "--name", "mine")
    assert again.returncode != 0 and "it is not changed" in again.stderr


def test_codes_and_checks_on_this_machine(mlip_auto: Command, tmp_path: Path) -> None:
    codes = mlip_auto("setup", "codes")
    assert codes.returncode == 0
    assert all(
        name in codes.stdout for name in ("label_structures", "pace_train", "select_structures", "validate_potential")
    )

    teacher = {"oracle": {"type": "ase", "calculator": "emt", "parameters": {"asap_cutoff": True}}}
    (tmp_path / "taught.yaml").write_text(yaml.safe_dump({"elements": ["Cu"], "teacher": teacher}))
    checked = mlip_auto("setup", "check", "--config", tmp_path / "taught.yaml")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert {line[0] for line in checked.stdout.splitlines()} == {"✓"}
    assert all(name in checked.stdout for name in ("label of a structure", "label by the teacher", "tiny fit"))
    without = mlip_auto("setup", "check", "--no-jobs")
    assert without.returncode == 0 and without.stdout.splitlines()[-1].startswith("· tiny fit")


def test_check_of_an_unknown_computer_says_how_to_create_it(mlip_auto: Command) -> None:
    checked = mlip_auto("setup", "check", "nowhere", "--no-jobs")
    assert checked.returncode != 0
    assert "✗ computer nowhere" in checked.stdout and "mlip-auto setup computer" in checked.stdout


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("computer", {"label": "hpc"}, "work_folder: is required"),
        ("computer", {"label": "hpc", "host": "h", "work_folder": "/w", "que": "x"}, "did you mean 'queue'?"),
        ("profile", {"postgres": {"port": 0}}, "postgres.port"),
    ],
)
def test_invalid_settings_file_gives_a_message(
    mlip_auto: Command, tmp_path: Path, name: str, content: dict[str, object], message: str
) -> None:
    path = tmp_path / "file.yaml"
    path.write_text(yaml.safe_dump(content))
    wrong = mlip_auto("setup", name, path)
    assert wrong.returncode != 0 and message in wrong.stderr
    assert "Traceback" not in wrong.stderr


def test_setup_codes_works_without_pw_but_pw_needs_a_computer(mlip_auto: Command) -> None:
    codes = mlip_auto("setup", "codes", "localhost")
    assert codes.returncode == 0 and "pace_train" in codes.stdout
    assert codes.stdout.splitlines()[-1] == "No code of pw.x on localhost: to store one, add --pw PATH."
    unknown = mlip_auto("setup", "codes", "nowhere")
    assert unknown.returncode == 1 and "mlip-auto setup computer" in unknown.stderr
    half = mlip_auto("setup", "codes", "--pw", "/usr/bin/pw.x")
    assert half.returncode == 2 and "mlip-auto setup codes COMPUTER --pw PATH" in half.stderr
