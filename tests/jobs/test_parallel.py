"""The pool of worker processes of a job."""

from __future__ import annotations

import multiprocessing
import os

import pytest
from mlip_common.parallel import shared, worker_pool


def shared_and_process(number: int) -> tuple[str, int, int]:
    return shared(), number, os.getpid()


@pytest.mark.parametrize(("workers", "tasks", "started"), [(1, 1, 0), (2, 1, 1), (2, 3, 2), (2, None, 2)])
def test_a_pool_starts_no_more_processes_than_it_has_tasks(workers: int, tasks: int | None, started: int) -> None:
    before = set(multiprocessing.active_children())
    with worker_pool(workers, "data", tasks) as mapped:
        found = list(mapped(shared_and_process, range(tasks or 4)))
        children = set(multiprocessing.active_children()) - before
    assert [each[:2] for each in found] == [("data", number) for number in range(tasks or 4)]
    assert len(children) == started
    assert {pid for *_, pid in found} <= ({child.pid for child in children} or {os.getpid()})
