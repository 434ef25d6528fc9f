"""Failures of the programs, and their log."""

from __future__ import annotations

import contextlib
import time

EXIT_STATUSES = {
    "bad_input": 10,
    "no_neighbours": 11,
    "too_few_atoms": 12,
    "diverged": 13,
    "out_of_time": 14,
    "not_installed": 15,
    "killed": 16,
    "potential_unusable": 17,
    "unphysical": 18,
    "unexpected": 19,
    "nothing_new": 20,
}
"""Exit status of a program, by failure kind."""

INSTALL_PYACE = "pip install 'python-ace>=0.4.0rc1'"
INSTALL_TENSORPOT = " && ".join(
    [
        "pip install 'numpy<2.4' tensorflow-cpu sympy requests pyyaml matscipy tqdm",
        "pip install --no-deps tensorpotential==0.6.2.1 tf_keras",
    ]
)


class ProgramError(Exception):
    """A failure with a kind (a key of :data:`EXIT_STATUSES`) and a message for the user."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


_START = time.monotonic()


def log(message: str) -> None:
    """Write a line to the log, preceded by the seconds since the start; ignore errors, as on a full disk."""
    with contextlib.suppress(OSError):
        print(f"{time.monotonic() - _START:7.1f} s  {message}", flush=True)
