"""A pool of forked worker processes, which inherit the data of the caller, so that no large data are sent to them."""

from __future__ import annotations

import contextlib
import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from .errors import ProgramError

MapFunction = Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]

_SHARED: list[Any] = []


def shared() -> Any:
    """Return, in a worker, the data that the caller of :func:`worker_pool` shares."""
    return _SHARED[-1]


@contextlib.contextmanager
def worker_pool(workers: int, share: Any, tasks: int | None = None) -> Iterator[MapFunction]:
    """Yield a function like `map`, with results in order, that runs in worker processes.

    :param workers: number of processes; if it is 1, the function runs in this process.
    :param share: data that the workers read by :func:`shared`.
    :param tasks: number of tasks, to start no more processes than needed: a single task runs beside this process.
    :raises ProgramError: of the kind `killed`, if a worker is killed.
    """
    _SHARED.append(share)
    try:
        if workers == 1:
            yield map
            return
        executor = ProcessPoolExecutor(min(workers, tasks or workers), mp_context=multiprocessing.get_context("fork"))
        try:
            yield executor.map
        except BrokenProcessPool as error:
            raise ProgramError(
                "killed",
                "a worker process was killed, most often because memory ran out: request more memory or fewer cores, or set "
                "fewer functions",
            ) from error
        finally:
            executor.shutdown(wait=True, cancel_futures=True)
    finally:
        _SHARED.pop()
