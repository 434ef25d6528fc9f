"""Wait while an SQLite database is locked by another program, or its disk is full, instead of failing.

aiida-core 2.9 keeps SQLite's default timeout of 5 s. If the database is locked for longer, a worker logs `database is
locked`, fails in every later statement with `PendingRollbackError`, and keeps running without doing anything. A full
disk has the same effect.

Here a statement that fails because of a lock or a full disk is repeated with increasing waits: it has changed nothing,
so no step of a process is executed twice. If its transaction has read before another program wrote, it would fail for
ever: such a transaction is restarted unless it has written something. If waiting does not help, the worker terminates;
the daemon starts another worker, which receives its tasks.
"""

from __future__ import annotations

import logging
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from . import are_needed

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

_LOGGER = logging.getLogger(__name__)

_WAITING = {
    "database is locked": "the database is locked by another program",
    "database table is locked": "the database is locked by another program",
    "database or disk is full": "the disk of the database is full",
}
"""Reasons for waiting, by error message of SQLite."""

BUSY, BUSY_SNAPSHOT = 5, 517
"""SQLite's codes of a lock, and of a transaction that read before another program wrote and must be rolled back."""

ATTEMPT_SECONDS = 1.0
"""SQLite's timeout in one attempt, during which signals are not handled."""
FIRST_WAIT, MAX_WAIT = 0.1, 5.0
"""Seconds between attempts."""

_installed = False


def why_waiting(error: BaseException | None) -> str | None:
    """Return why the database cannot be used, if an error or one of its causes says so."""
    while error is not None:
        for message, reason in _WAITING.items():
            if message in str(error):
                return reason
        error = error.__cause__ or error.__context__
    return None


def install(timeout: float | None, notify: Callable[[str], None] | None = None) -> None:
    """Install the waiting in the database of the loaded profile and in all that are opened later.

    :param timeout: timeout (s) of a statement; None in a worker, which waits for ever, and terminates on SIGTERM or if
        waiting does not help.
    :param notify: called with the reason when a wait starts.
    """
    global _installed
    if _installed or not are_needed():
        return
    from aiida.manage import get_manager
    from aiida.storage.sqlite_dos import backend
    from aiida.storage.sqlite_dos.backend import SqliteDosStorage

    make = backend.create_sqla_engine

    def make_waiting_engine(*arguments: Any, **options: Any) -> Engine:
        engine = make(*arguments, **options)
        make_engine_wait(engine, timeout, notify)
        return engine

    backend.create_sqla_engine = make_waiting_engine
    if get_manager().profile_storage_loaded:
        storage = get_manager().get_profile_storage()
        if isinstance(storage, SqliteDosStorage):
            make_engine_wait(storage.get_session().get_bind(), timeout, notify)
    _installed = True


def make_engine_wait(engine: Engine, timeout: float | None, notify: Callable[[str], None] | None = None) -> None:
    """Install the waiting in an engine; for the parameters see :func:`install`."""
    from sqlalchemy import event

    def execute_waiting(cursor: Any, statement: str, context: Any, attempt: Callable[[], Any]) -> bool:
        connection = cursor.connection
        if connection.isolation_level != "IMMEDIATE":
            connection.isolation_level = "IMMEDIATE"
            connection.execute(f"PRAGMA busy_timeout = {ATTEMPT_SECONDS * 1000:.0f}").close()
        transaction = context.root_connection.info
        if not connection.in_transaction:
            transaction["savepoints"], transaction["changes"] = [], connection.total_changes
        before = connection.total_changes

        def restart_transaction() -> bool:
            if before != connection.total_changes:
                # `executemany` has written some of the rows.
                return False
            if transaction["changes"] != before:
                # A full disk may have ended the transaction.
                return bool(connection.in_transaction)
            connection.rollback()
            for savepoint in transaction["savepoints"]:
                connection.execute(savepoint).close()
            return True

        _wait(attempt, timeout, notify, restart_transaction)
        if statement.startswith("SAVEPOINT "):
            transaction["savepoints"].append(statement)
        elif statement.startswith("RELEASE SAVEPOINT ") and transaction["savepoints"]:
            transaction["savepoints"].pop()
        return True

    def execute(cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
        return execute_waiting(cursor, statement, context, lambda: cursor.execute(statement, parameters))

    def execute_many(cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
        return execute_waiting(cursor, statement, context, lambda: cursor.executemany(statement, parameters))

    def execute_alone(cursor: Any, statement: str, context: Any) -> bool:
        return execute_waiting(cursor, statement, context, lambda: cursor.execute(statement))

    commit = engine.dialect.do_commit
    setattr(engine.dialect, "do_commit", lambda connection: _wait(lambda: commit(connection), timeout, notify))  # noqa: B010
    event.listen(engine, "do_execute", execute)
    event.listen(engine, "do_executemany", execute_many)
    event.listen(engine, "do_execute_no_params", execute_alone)
    if timeout is None:
        event.listen(engine, "handle_error", _terminate_if_locked)


def _wait(
    attempt: Callable[[], Any],
    timeout: float | None,
    notify: Callable[[str], None] | None,
    restart_transaction: Callable[[], bool] = lambda: True,
) -> None:
    """Repeat an attempt until the database can be used.

    :param restart_transaction: restarts the transaction if it has written nothing; returns whether its state is
        restored.

    :raises sqlite3.OperationalError: after the timeout, or if waiting does not help.
    """
    start = time.monotonic()
    wait = FIRST_WAIT
    while True:
        try:
            attempt()
        except Exception as error:
            reason = why_waiting(error)
            if reason is None or (timeout is not None and time.monotonic() - start > timeout):
                raise
            # Without the write-ahead log, a transaction that has only read blocks writers too.
            restored = restart_transaction()
            # The error code exists from Python 3.11.
            if getattr(error, "sqlite_errorcode", BUSY_SNAPSHOT) != BUSY and not restored:
                raise
            if wait == FIRST_WAIT:
                _LOGGER.warning("%s: waiting", reason)
                if notify is not None:
                    notify(reason)
        else:
            if wait != FIRST_WAIT:
                _LOGGER.warning("waited for the database for %.0f s; continuing", time.monotonic() - start)
            return
        with _terminate_on_signal(timeout is None):
            time.sleep(wait * random.uniform(0.5, 1.0))
        wait = min(2 * wait, MAX_WAIT)


@contextmanager
def _terminate_on_signal(worker: bool) -> Iterator[None]:
    """Let SIGTERM terminate a waiting worker, whose event loop is blocked and cannot handle it."""
    if not worker or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: os._exit(1))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _terminate_if_locked(context: Any) -> None:
    if (reason := why_waiting(context.original_exception)) is not None:
        _LOGGER.error("%s, and waiting does not help: this worker terminates, its tasks go to other workers", reason)
        os._exit(1)
