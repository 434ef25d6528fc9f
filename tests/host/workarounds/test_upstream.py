"""The faults of aiida-core that the workarounds repair: if a test fails, its workaround can be removed."""

from __future__ import annotations

import inspect
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from aiida.brokers.zeromq import ZeromqBroker, service
from aiida.engine.daemon import client
from aiida.engine.processes import process
from aiida.engine.processes.calcjobs.manager import JobsList
from aiida.manage.configuration import Profile
from aiida.orm.nodes import links
from aiida.orm.utils import serialize
from aiida.repository.backend import disk_object_store
from aiida.storage.psql_dos.orm import utils as orm_utils
from aiida.storage.sqlite_zip.utils import create_sqla_engine
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from aiida_mlip_autopipec.host.workarounds import are_needed


def test_the_repairs_are_for_the_installed_version() -> None:
    assert are_needed()


def test_a_transaction_that_has_read_before_another_wrote_fails(tmp_path: Path) -> None:
    path = tmp_path / "database.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE numbers (number INTEGER)")
    with create_sqla_engine(path).connect() as reader, reader.begin_nested() as savepoint:
        reader.execute(text("SELECT count(*) FROM numbers"))
        with closing(sqlite3.connect(path)) as other, other:
            other.execute("INSERT INTO numbers VALUES (1)")
        with pytest.raises(OperationalError, match="database is locked"):
            reader.execute(text("INSERT INTO numbers VALUES (2)"))
        savepoint.rollback()


def test_empty_address_of_the_broker_is_accepted(aiida_profile: Profile, tmp_path: Path) -> None:
    broker = ZeromqBroker(aiida_profile)
    broker._service_sockets_file = tmp_path / "broker.sockets"
    broker._service_sockets_file.touch()
    assert broker._router_endpoint == "ipc://./router.sock"


def test_the_repository_is_asked_whether_a_file_exists_before_it_is_opened() -> None:
    source = inspect.getsource(disk_object_store.DiskObjectStoreRepositoryBackend)
    assert source.count("if not self.has_object(key):") == 2


def test_a_process_looks_up_its_stored_outputs_even_if_it_has_none() -> None:
    source = inspect.getsource(process).partition("def update_outputs(self)")[2].partition("outputs_new")[0]
    assert ".all_link_labels()" in source and "if not" not in source


def test_the_broker_writes_its_status_only_after_an_interval() -> None:
    assert "now - last_status_time >= status_interval" in inspect.getsource(service.ZeromqBrokerService.run_forever)


def test_the_supervisor_starts_a_process_for_statistics() -> None:
    assert "'statsd': True" in inspect.getsource(client.DaemonClient._start_daemon)


def test_each_new_link_is_checked_for_cycles_and_links_are_asked_for_by_the_query_builder() -> None:
    source = inspect.getsource(links)
    assert "if link_type in [LinkType.CREATE, LinkType.INPUT_CALC, LinkType.INPUT_WORK]:\n            builder" in source
    assert "for entry in builder.all()]" in source


def test_a_row_is_loaded_to_learn_whether_it_is_stored() -> None:
    assert "return self._model.id is not None" in inspect.getsource(orm_utils)


def test_checkpoints_are_written_by_the_emitter_in_python() -> None:
    assert "class AiiDADumper(yaml.Dumper):" in inspect.getsource(serialize)


def test_a_process_is_informed_of_its_job_whether_it_has_changed_or_not() -> None:
    assert inspect.getsource(JobsList).count("_has_job_state_changed") == 1
