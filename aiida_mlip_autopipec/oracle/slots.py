"""Base of oracles that submit the next job as soon as one of their jobs ends, up to a maximum number of jobs."""

from __future__ import annotations

from abc import abstractmethod

from aiida.engine import ProcessState
from aiida.engine.processes.workchains.awaitable import Awaitable
from aiida.orm import ProcessNode, QueryBuilder

from .contract import OracleWorkChain


class SlotsOracleWorkChain(OracleWorkChain):
    """Base of oracles with jobs of unequal cost, at most `max_concurrent_jobs` of them at a time.

    A subclass calls :meth:`open_slots` in its first step, and its outline contains::

        while_(cls.has_work)(
            cls.fill_slots,
            cls.collect,
        )

    where `collect` takes the jobs of :meth:`take_ended`.
    """

    @abstractmethod
    def has_waiting(self) -> bool:
        """Return whether work is left that was not submitted."""

    @abstractmethod
    def submit_next(self, number: int) -> ProcessNode:
        """Submit the next job.

        :param number: of the job, counted from 0. If a worker is killed, the same numbers are submitted again.
        """

    def open_slots(self) -> None:
        """Begin without jobs."""
        self.ctx.submitted = 0
        self.ctx.running = {}

    def has_work(self) -> bool:
        """Return whether jobs are running or waiting."""
        return bool(self.ctx.running) or self.has_waiting()

    def fill_slots(self) -> None:
        """Submit jobs up to `max_concurrent_jobs`, and wait until one ends."""
        most = self.settings.max_concurrent_jobs
        while len(self.ctx.running) < most and self.has_waiting():
            node = self.submit_next(self.ctx.submitted)
            self.ctx.running[str(node.pk)] = self.ctx.submitted
            self.ctx.submitted += 1
        nodes = self._running_nodes()
        # Last, since submitting lets callbacks of other jobs run.
        if not any(node.is_terminated for node in nodes):
            self.to_context(**{f"awaited_{node.pk}": node for node in nodes})

    def take_ended(self) -> list[tuple[int, ProcessNode]]:
        """Remove the jobs that have ended from the slots, and return them with their numbers."""
        ended = [(self.ctx.running[str(node.pk)], node) for node in self._running_nodes() if node.is_terminated]
        for _, node in ended:
            del self.ctx.running[str(node.pk)]
            self.ctx.pop(f"awaited_{node.pk}", None)
        return sorted(ended, key=lambda job: job[0])

    def _running_nodes(self) -> list[ProcessNode]:
        if not self.ctx.running:
            return []
        query = QueryBuilder().append(ProcessNode, filters={"id": {"in": [int(pk) for pk in self.ctx.running]}})
        return list(query.all(flat=True))

    def _on_awaitable_finished(self, awaitable: Awaitable) -> None:
        """Continue after the first of the awaited jobs; AiiDA waits for all of them.

        Each wait registers a callback for each running job, so that a job also calls back with awaitables of earlier waits.
        """
        current = next((other for other in self._awaitables if other.pk == awaitable.pk), None)
        if current is None:
            return
        super()._on_awaitable_finished(current)
        if self.state == ProcessState.WAITING and self._awaitables:
            self.resume()
