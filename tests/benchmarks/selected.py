"""Selection from a pool as in a default run, in this process."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from ase import Atoms

import aiida_mlip_autopipec
from aiida_mlip_autopipec.config.schemas.selection import SelectionConfig

sys.path.insert(0, str(Path(aiida_mlip_autopipec.__file__).parent / "jobs"))

from mlip_select.select import select
from mlip_select.settings import SelectionSettings


def selected(pool: Sequence[Atoms], count: int) -> list[Atoms]:
    """Return the structures of a pool that a default run labels."""
    config = SelectionConfig()
    wanted = SelectionSettings(
        count=count,
        method=config.method,
        n_functions=config.n_functions,
        per_block=config.block,
        representative=config.representative,
    )
    return [pool[record["index"]] for record in select(wanted, list(pool), [], 1)["chosen"]]
