"""Statements wait while another program has locked the database, or the disk is full."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from aiida.storage.sqlite_zip.utils import create_sqla_engine
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from aiida_mlip_autopipec.host.workarounds import waiting_database
from aiida_mlip_autopipec.host.workarounds.waiting_database import make_engine_wait, why_waiting


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(waiting_database, "ATTEMPT_SECONDS", 0.05)
    path = tmp_path / "database.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE numbers (number INTEGER)")
    yield path


def engine_of(path: Path, patience: float | None, tell: Callable[[str], None] | None = None) -> Engine:
    engine = create_sqla_engine(path)
    make_engine_wait(engine, patience, tell)
    return engine


def numbers(path: Path) -> list[int]:
    with closing(sqlite3.connect(path)) as connection:
        return [number for (number,) in connection.execute("SELECT number FROM numbers ORDER BY number")]


def test_a_statement_waits_until_the_lock_is_gone(database: Path) -> None:
    other = sqlite3.connect(database, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    told = threading.Event()

    def unlock() -> None:
        assert told.wait(60)
        other.execute("COMMIT")

    unlocking = threading.Thread(target=unlock)
    unlocking.start()
    with engine_of(database, None, lambda _: told.set()).begin() as connection:
        connection.execute(text("INSERT INTO numbers VALUES (1)"))
        connection.execute(text("INSERT INTO numbers VALUES (:n)"), [{"n": 2}, {"n": 3}])
    unlocking.join()
    other.close()
    assert told.is_set()
    assert numbers(database) == [1, 2, 3]


def test_statement_fails_after_the_timeout(database: Path) -> None:
    engine = engine_of(database, 0.2)
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(OperationalError) as raised, engine.begin() as connection:
            connection.execute(text("INSERT INTO numbers VALUES (1)"))
        assert why_waiting(raised.value) == "the database is locked by another program"
        with engine.connect() as connection:
            assert connection.execute(text("SELECT count(*) FROM numbers")).scalar() == 0
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO numbers VALUES (2)"))
    assert numbers(database) == [2]


def test_other_errors_are_raised_at_once(database: Path) -> None:
    with pytest.raises(OperationalError, match="no such table"), engine_of(database, None).begin() as connection:
        connection.execute(text("INSERT INTO letters VALUES (1)"))


def test_a_transaction_that_has_read_before_another_wrote_can_write(database: Path) -> None:
    with engine_of(database, 30.0).connect() as connection, connection.begin_nested():
        assert connection.execute(text("SELECT count(*) FROM numbers")).scalar() == 0
        with closing(sqlite3.connect(database)) as other, other:
            other.execute("INSERT INTO numbers VALUES (1)")
        with connection.begin_nested():
            connection.execute(text("INSERT INTO numbers VALUES (2)"))
        connection.commit()
    assert numbers(database) == [1, 2]


def test_a_statement_waits_for_space(database: Path) -> None:
    reasons = []

    def make_space(reason: str) -> None:
        reasons.append(reason)
        dbapi.execute("PRAGMA max_page_count = 1000000")

    with engine_of(database, None, make_space).connect() as connection:
        dbapi: Any = connection.connection.driver_connection
        # As on a full disk: SQLite cannot add a page.
        (pages,) = dbapi.execute("PRAGMA page_count").fetchone()
        dbapi.execute(f"PRAGMA max_page_count = {pages}")
        with connection.begin_nested():
            connection.exec_driver_sql("INSERT INTO numbers VALUES (1)")
        connection.exec_driver_sql(
            "WITH RECURSIVE n(x) AS (VALUES (2) UNION ALL SELECT x + 1 FROM n LIMIT 9999) INSERT INTO numbers SELECT x FROM n"
        )
        connection.commit()
    assert reasons == ["the disk of the database is full"]
    assert numbers(database) == list(range(1, 10001))


def test_statement_with_partly_written_rows_is_not_repeated(database: Path) -> None:
    with engine_of(database, 60.0).connect() as connection:
        dbapi: Any = connection.connection.driver_connection
        (pages,) = dbapi.execute("PRAGMA page_count").fetchone()
        dbapi.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(OperationalError, match="full"):
            connection.execute(text("INSERT INTO numbers VALUES (:n)"), [{"n": n} for n in range(9999)])
        connection.rollback()
    assert numbers(database) == []
