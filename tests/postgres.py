"""A temporary PostgreSQL server for tests and benchmarks."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_PG_CTL_AS_POSTGRES = """#!/bin/sh
# PostgreSQL refuses to run as root: its files are given to the user postgres, and so is the process.
cd /
for argument; do case $argument in */data) chown -R postgres "$(dirname "$argument")" ;; esac; done
exec setpriv --reuid=postgres --regid=postgres --clear-groups {pg_ctl} "$@"
"""


@contextmanager
def database(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the storage configuration of an empty database, which is deleted at the end.

    The fixture of AiiDA needs the locale en_US.UTF-8, which some machines do not have.

    :param folder: folder for the file repository and a script.
    :raises RuntimeError: if PostgreSQL is not installed.
    """
    import psycopg
    from pgtest.pgtest import PGTest

    with _programs(folder), PGTest(max_connections=100) as server:
        address = {"host": server.dsn["host"], "port": server.port, "user": server.username}
        with psycopg.connect(dbname="postgres", autocommit=True, **address) as connection:
            connection.execute("CREATE DATABASE aiida ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
        yield {
            "database_engine": "postgresql_psycopg",
            "database_name": "aiida",
            "database_username": server.username,
            "database_password": "",
            "database_hostname": server.dsn["host"],
            "database_port": server.port,
            "repository_uri": (folder / "repository").as_uri(),
        }


@contextmanager
def _programs(folder: Path) -> Iterator[None]:
    """Put a `pg_ctl` on the PATH that also works for root."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
    pg_ctl = str(installed[-1]) if installed else shutil.which("pg_ctl")
    if pg_ctl is None:
        raise RuntimeError("PostgreSQL is not installed: e.g. apt-get install postgresql")
    (folder / "repository").mkdir()
    programs = Path(pg_ctl).parent
    if os.geteuid() == 0:
        programs = folder / "bin"
        programs.mkdir()
        wrapper = programs / "pg_ctl"
        wrapper.write_text(_PG_CTL_AS_POSTGRES.format(pg_ctl=pg_ctl))
        wrapper.chmod(0o755)
    before = os.environ["PATH"]
    os.environ["PATH"] = os.pathsep.join([str(programs), before])
    try:
        yield
    finally:
        os.environ["PATH"] = before
