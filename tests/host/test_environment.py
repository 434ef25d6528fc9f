"""Profile, computer and codes are created if missing, and otherwise not changed."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiida import orm
from aiida.manage.configuration import Profile

from aiida_mlip_autopipec.config.errors import UserError
from aiida_mlip_autopipec.config.schemas.resources import ResourcesConfig
from aiida_mlip_autopipec.host.computers import ensure_computer, with_this_python
from aiida_mlip_autopipec.host.profile import ensure_profile
from aiida_mlip_autopipec.programs.codes import ensure_code

pytestmark = pytest.mark.usefixtures("aiida_profile")


def test_the_given_profile_is_used(aiida_profile: Profile) -> None:
    profile, made = ensure_profile()
    assert (profile.name, made) == (aiida_profile.name, False)


def test_an_unknown_profile_is_an_error() -> None:
    with pytest.raises(UserError, match="no AiiDA profile 'nowhere'"):
        ensure_profile("nowhere")


def test_localhost_is_created_once() -> None:
    computer = ensure_computer("localhost")
    assert computer.is_configured
    assert ensure_computer("localhost").uuid == computer.uuid


def test_error_for_an_unknown_computer_says_how_to_create_it() -> None:
    with pytest.raises(UserError, match="mlip-auto setup computer"):
        ensure_computer("hpc")


def test_error_for_an_unconfigured_computer_says_how_to_configure_it() -> None:
    orm.Computer("bare", "localhost", transport_type="core.local", scheduler_type="core.direct", workdir="/tmp").store()
    with pytest.raises(UserError, match="verdi computer configure"):
        ensure_computer("bare")


@pytest.mark.parametrize("name", ["label_structures", "pace_train", "select_structures"])
def test_code_is_stored_again_only_if_its_program_has_changed(name: str) -> None:
    code = ensure_code(name)
    assert ensure_code(name).uuid == code.uuid
    assert code.base.repository.get_object_content(name).startswith("#!/usr/bin/env python3")


def test_jobs_on_localhost_use_the_running_python_environment() -> None:
    assert "export PATH=" in with_this_python(ResourcesConfig()).prepend_text
    lines = with_this_python(ResourcesConfig(prepend_text="module load python")).prepend_text.splitlines()
    assert lines[0].startswith("export PATH=") and lines[1] == "module load python"
    elsewhere = ResourcesConfig(computer="hpc")
    assert with_this_python(elsewhere) == elsewhere


def test_job_options_contain_only_given_settings(tmp_path: Path) -> None:
    options = ResourcesConfig(cores=4, walltime=60, memory_mb=10, queue="debug").options()
    assert options["resources"] == {"num_machines": 1, "num_mpiprocs_per_machine": 1, "num_cores_per_mpiproc": 4}
    assert (options["max_wallclock_seconds"], options["max_memory_kb"], options["queue_name"]) == (60, 10240, "debug")
    assert "account" not in options and "custom_scheduler_commands" not in options
    told = ResourcesConfig(
        account="project", qos="high", scheduler_lines=["#SBATCH --gres=gpu:1", "#SBATCH -C a100"]
    ).options()
    assert (told["account"], told["qos"]) == ("project", "high")
    assert told["custom_scheduler_commands"] == "#SBATCH --gres=gpu:1\n#SBATCH -C a100"
