"""A profile of its own for a benchmark, gone when it ends."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def temporary_profile() -> Iterator[str]:
    """Make and load a fresh embedded profile; yield the folder it lives in. Call it before anything imports AiiDA."""
    with tempfile.TemporaryDirectory() as home:
        os.environ["AIIDA_PATH"] = home
        from aiida_mlip_autopipec.environment import ensure_profile

        ensure_profile()
        yield home
