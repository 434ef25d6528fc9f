"""An oracle that submits jobs in rounds, for `bench_slots`."""

from __future__ import annotations

from aiida.engine import WorkChain
from aiida.engine.processes.workchains.awaitable import Awaitable

from aiida_mlip_autopipec.oracle.ase import AseOracleWorkChain


class RoundsOracleWorkChain(AseOracleWorkChain):
    """An oracle that submits the next round of jobs only after the slowest job of the round has ended."""

    def _on_awaitable_finished(self, awaitable: Awaitable) -> None:
        WorkChain._on_awaitable_finished(self, awaitable)
