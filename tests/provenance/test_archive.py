"""An exported potential with its provenance gives the same query results in another profile."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from aiida import orm
from aiida.tools.archive import create_archive

from aiida_mlip_autopipec.provenance.queries import trace

VERDI = Path(sys.executable).with_name("verdi")

ASK = """
import json, sys
from aiida import load_profile, orm
load_profile("other")
from aiida_mlip_autopipec.provenance.queries import find_potentials, dependent_potentials, trace
potential = orm.load_node(sys.argv[1])
job = orm.load_node(sys.argv[2])
print(json.dumps({
    "trace": trace(potential).as_dict(),
    "touched": [found.uuid for found in dependent_potentials(job)],
    "potentials": [found.uuid for found in find_potentials()],
}))
"""


@pytest.fixture(params=["core.sqlite_dos", "core.psql_dos"])
def elsewhere(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """Return the environment of a separate AiiDA configuration with an empty profile `other`."""
    command = [VERDI, "profile", "setup", request.param, "-n", "--profile-name", "other", "--email", "a@b.c"]
    if request.param == "core.psql_dos":
        if not (list(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl")) or shutil.which("pg_ctl")):
            pytest.skip("PostgreSQL is not installed")
        import psycopg

        server = request.getfixturevalue("postgres_database")
        host, port = str(server["database_hostname"]), str(server["database_port"])
        user = server["database_username"]
        with psycopg.connect(dbname="postgres", autocommit=True, host=host, port=port, user=user) as connection:
            connection.execute("CREATE DATABASE travel ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
        command += ["--database-hostname", host, "--database-port", port, "--database-username", user]
        command += ["--database-password", "unused", "--database-name", "travel"]
        command += ["--repository-uri", (tmp_path / "repository").as_uri()]
    env = {**os.environ, "AIIDA_PATH": str(tmp_path)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return env


def test_imported_archive_gives_the_same_provenance(
    finished_run: orm.WorkChainNode, elsewhere: dict[str, str], tmp_path: Path
) -> None:
    potential = finished_run.outputs.potential
    job = next(node for node in finished_run.called_descendants if node.process_label == "AseLabelCalculation")
    archive = tmp_path / "potential.aiida"
    create_archive([potential], filename=archive)
    done = subprocess.run(
        [VERDI, "-p", "other", "archive", "import", archive], env=elsewhere, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    asked = subprocess.run(
        [sys.executable, "-c", ASK, potential.uuid, job.uuid],
        env=elsewhere,
        capture_output=True,
        text=True,
        check=False,
    )
    assert asked.returncode == 0, asked.stderr
    answer: dict[str, Any] = json.loads(asked.stdout)
    assert answer["trace"] == json.loads(json.dumps(trace(potential).as_dict()))
    assert answer["touched"] == answer["potentials"] == [potential.uuid]
