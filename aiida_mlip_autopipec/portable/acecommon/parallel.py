"""Work shared among processes that inherit what the caller holds, so that nothing large is sent to them."""

from __future__ import annotations

import contextlib
import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from .errors import ExplainedError

Mapped = Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]

_SHARED: list[Any] = []


def shared() -> Any:
    """Return, in a worker, what the caller of :func:`pool` shares."""
    return _SHARED[-1]


@contextlib.contextmanager
def pool(workers: int, share: Any) -> Iterator[Mapped]:
    """Yield a function like `map`, in order, over worker processes.

    :param share: what the workers get by :func:`shared`.
    """
    _SHARED.append(share)
    try:
        if workers == 1:
            yield map
            return
        executor = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("fork"))
        try:
            yield executor.map
        except BrokenProcessPool as error:
            raise ExplainedError(
                "killed", "a worker process was killed, most often for want of memory: ask for fewer cores or functions"
            ) from error
        finally:
            executor.shutdown(wait=True, cancel_futures=True)
    finally:
        _SHARED.pop()
