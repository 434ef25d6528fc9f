"""The portable programs in processes that are forked from a Python that has already imported the libraries, to save time.

Each program has its own process, working folder, streams and exit status, as if a new Python ran it. Tests of workflows and of
`PacemakerWrapper` run the programs by a new Python.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import runpy
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Sequence
from functools import cache
from pathlib import Path

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
LIBRARIES = ("ase.calculators.emt", "ase.io.trajectory", "pyace", "ruamel.yaml", "scipy.optimize")


def run_fresh(script: str | Path, arguments: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a program in a folder by a new Python, and return the finished process."""
    command = [sys.executable, str(script), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def run_warm(
    script: str | Path, arguments: Sequence[str], folder: Path, modules: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a program in a folder by a Python that has already imported the libraries, and return the finished process.

    :param modules: a folder with modules that it can import.
    """
    with tempfile.TemporaryDirectory() as streams:
        out, error = Path(streams, "out"), Path(streams, "error")
        command = [str(script), *map(str, arguments)]
        order = {"command": command, "folder": str(folder), "out": str(out), "error": str(error)}
        order["modules"] = str(modules or folder)
        server = _server()
        assert server.stdin is not None and server.stdout is not None
        print(json.dumps(order), file=server.stdin, flush=True)
        status = int(server.stdout.readline())
        return subprocess.CompletedProcess(command, status, out.read_text(), error.read_text())


@cache
def _server() -> subprocess.Popen[str]:
    environment = {**os.environ, **dict.fromkeys(THREADS, "1")}
    server = subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    )
    atexit.register(_end, server)
    return server


def _end(server: subprocess.Popen[str]) -> None:
    assert server.stdin is not None
    server.stdin.close()
    server.wait()


def _serve() -> None:
    """Import the libraries, and run each requested program in a fork of this process."""
    # The folder of this file, in which a test folder may have the name of a library.
    del sys.path[0]
    for library in LIBRARIES:
        importlib.import_module(library)
    # Lines must not be read ahead: a child process would not get them.
    for line in iter(sys.stdin.readline, ""):
        pid = os.fork()
        if pid == 0:
            _run(**json.loads(line))
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _run(command: list[str], folder: str, out: str, error: str, modules: str) -> None:
    """Run the program in this process, and exit with its status."""
    for path, stream in ((os.devnull, 0), (out, 1), (error, 2)):
        os.dup2(os.open(path, os.O_RDWR | os.O_CREAT), stream)
    status = 0
    try:
        os.chdir(folder)
        sys.argv = command
        sys.path.insert(0, modules)
        runpy.run_path(command[0], run_name="__main__")
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        status = 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    _serve()
