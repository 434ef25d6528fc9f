"""The command `mlip-auto` as users run it: as a program, with a real daemon."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import yaml
from ase.io import read

from ..waiting import PATIENCE

PROGRAM = Path(sys.executable).with_name("mlip-auto")
VERDI = Path(sys.executable).with_name("verdi")

Command = Callable[..., "subprocess.CompletedProcess[str]"]
FirstRun = tuple["subprocess.CompletedProcess[str]", Path, str]

SMALL = {
    "elements": ["Cu"],
    "generator": {"count": 20, "max_atoms": 4},
    "selection": "none",
    "training": {"n_functions": 12, "cutoff": 5.0, "order": 2},
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home without AiiDA configuration; its daemon is stopped at the end."""
    home = tmp_path_factory.mktemp("home")
    yield home
    subprocess.run([VERDI, "daemon", "stop"], env=environment(home), capture_output=True, check=False)


def environment(home: Path) -> dict[str, str]:
    # Neither verdi nor the scripts' Python need be on the PATH.
    return {**os.environ, "AIIDA_PATH": str(home), "PATH": "/usr/bin:/bin", "HOME": str(home)}


def command_in(home: Path, folder: Path) -> Command:
    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [PROGRAM, *arguments], env=environment(home), cwd=folder, capture_output=True, text=True, check=False
        )

    return run


@pytest.fixture
def mlip_auto(home: Path, tmp_path: Path) -> Command:
    """Run the command in the temporary folder."""
    return command_in(home, tmp_path)


@pytest.fixture(scope="module")
def first_run(home: Path, tmp_path_factory: pytest.TempPathFactory) -> FirstRun:
    """The first command in that home, by its name in the specification: its process, its results and the PK of its run."""
    folder = tmp_path_factory.mktemp("first")
    (folder / "CONFIG.yaml").write_text(yaml.safe_dump(SMALL))
    done = command_in(home, folder)("run-cycle-02", "CONFIG.yaml", "--no-reuse", "--output", "out")
    assert done.returncode == 0, done.stdout + done.stderr
    return done, folder / "out", done.stdout.split("Run ")[1].split()[0]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A small run."""
    (tmp_path / "CONFIG.yaml").write_text(yaml.safe_dump(SMALL))
    return tmp_path / "CONFIG.yaml"


def daemon_processes(home: Path) -> list[psutil.Process]:
    """Return the processes of the daemon; the supervisor is the first, since it would restart the others."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if "start-circus" in process.cmdline() and process.environ().get("AIIDA_PATH", "").startswith(str(home)):
                return [process, *process.children(recursive=True)]
    return []


def start_run(home: Path, folder: Path) -> tuple[subprocess.Popen[str], str]:
    """Start a run and wait until labels are computed; return the process and the PK of the run."""
    process = subprocess.Popen(
        [PROGRAM, "run", "CONFIG.yaml", "--output", "out"],
        env=environment(home),
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # If the tests run in the background, Ctrl-C is ignored, and child processes inherit this.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    pk = ""
    for line in process.stdout:
        if line.startswith("Run "):
            pk = line.split()[1]
        if "labels" in line:
            break
    assert pk
    return process, pk


def test_first_command_on_a_fresh_machine_gives_a_potential(first_run: FirstRun) -> None:
    done, out, _ = first_run
    assert "20 generated" in done.stdout and "20 of 20 labelled" in done.stdout
    assert "RMSE" in done.stdout
    names = {"potential.yace", "potential.yaml", "potential.asi", "metrics.json", "dataset.extxyz", "parity.png"}
    names.add("report.html")
    assert {path.name for path in out.iterdir()} == names
    metrics = json.loads((out / "metrics.json").read_text())
    frames = read(out / "dataset.extxyz", ":")
    assert len(frames) == metrics["train"]["n_structures"] + metrics["test"]["n_structures"]
    assert {atoms.info["split"] for atoms in frames} == {"train", "test"}
    assert (out / "parity.png").read_bytes().startswith(b"\x89PNG")


def test_status_and_watch_show_a_finished_run(mlip_auto: Command, first_run: FirstRun, tmp_path: Path) -> None:
    _, _, run = first_run
    status = mlip_auto("status")
    assert status.returncode == 0 and run in status.stdout and "done" in status.stdout
    assert "20 of 20 labelled" in mlip_auto("status", run).stdout

    again = mlip_auto("watch", run, "--output", "later")
    assert again.returncode == 0 and "potential.yace" in again.stdout


def test_ctrl_c_ends_the_display_and_not_the_run(mlip_auto: Command, home: Path, config: Path, tmp_path: Path) -> None:
    process, pk = start_run(home, tmp_path)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert f"mlip-auto watch {pk} --output out" in said
    assert "Traceback" not in said
    assert not (tmp_path / "out" / "potential.yace").exists()
    assert mlip_auto("watch", pk, "--output", "out").returncode == 0
    assert (tmp_path / "out" / "potential.yace").exists()


@pytest.mark.slow
@pytest.mark.parametrize("everything", [False, True])
def test_run_finishes_after_its_daemon_was_killed(
    mlip_auto: Command, home: Path, config: Path, tmp_path: Path, everything: bool
) -> None:
    process, pk = start_run(home, tmp_path)
    process.kill()
    process.communicate()
    killed = daemon_processes(home)
    if not everything:
        killed = [found for found in killed if "worker" in found.cmdline()]
    assert killed
    for found in killed:
        found.kill()
    psutil.wait_procs(killed)
    done = mlip_auto("watch", pk, "--output", "out")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "out" / "potential.yace").exists()


@pytest.mark.slow
def test_several_simultaneous_runs_finish(home: Path, config: Path, tmp_path: Path) -> None:
    commands = [
        subprocess.Popen(
            [PROGRAM, "run", "CONFIG.yaml", "--no-reuse", "--output", f"out{number}"],
            env=environment(home),
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for number in range(3)
    ]
    for number, command in enumerate(commands):
        said, _ = command.communicate(timeout=PATIENCE)
        assert command.returncode == 0, said
        assert (tmp_path / f"out{number}" / "potential.yace").exists()


def test_full_disk_does_not_damage_earlier_results(mlip_auto: Command, first_run: FirstRun, tmp_path: Path) -> None:
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root can make a small disk")
    full = tmp_path / "full"
    full.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", full], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("no small disk can be mounted here")
    try:
        (full / "metrics.json").write_text("of another run")
        done = mlip_auto("watch", first_run[2], "--output", full)
        assert done.returncode == 1
        assert "No space left" in done.stderr and "mlip-auto watch" in done.stderr
        assert "Traceback" not in done.stderr
        assert [path.name for path in full.iterdir()] == ["metrics.json"]
        assert (full / "metrics.json").read_text() == "of another run"
    finally:
        subprocess.run(["umount", full], check=True)
