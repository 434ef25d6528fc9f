"""Failures that are explained to the user, and the log."""

from __future__ import annotations

import time

FAILURES = {
    "bad_input": 10,
    "no_neighbours": 11,
    "too_few_atoms": 12,
    "diverged": 13,
    "out_of_time": 14,
    "not_installed": 15,
    "killed": 16,
    "potential_unusable": 17,
    "unexpected": 19,
}
"""Exit status of a program by the kind of its failure."""

INSTALL_PYACE = "pip install 'python-ace>=0.4.0rc1'"
INSTALL_TENSORPOT = " && ".join(
    [
        "pip install 'numpy<2.4' tensorflow-cpu sympy requests pyyaml matscipy tqdm",
        "pip install --no-deps tensorpotential==0.6.2.1 tf_keras",
    ]
)


class ExplainedError(Exception):
    """A failure that is explained to the user."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


_START = time.monotonic()


def log(message: str) -> None:
    """Write a line to the log, after the seconds since the start."""
    print(f"{time.monotonic() - _START:7.1f} s  {message}", flush=True)
