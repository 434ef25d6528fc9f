"""A temporary profile for a benchmark, deleted at its end."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests import postgres


@contextmanager
def temporary_profile(*, on_postgres: bool = False) -> Iterator[str]:
    """Create and load a new profile; yield its folder. Call it before AiiDA is imported.

    :param on_postgres: on a PostgreSQL server of its own, not on SQLite.
    """
    with ExitStack() as stack:
        home = stack.enter_context(tempfile.TemporaryDirectory())
        os.environ["AIIDA_PATH"] = home
        if on_postgres:
            server = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            server.chmod(0o755)
            _make_profile_on(stack.enter_context(postgres.database(server)))
        from aiida.manage import get_manager

        from aiida_mlip_autopipec.host.profile import ensure_profile

        ensure_profile()
        try:
            yield home
        finally:
            get_manager().unload_profile()


def _make_profile_on(storage: dict[str, object]) -> None:
    from aiida.manage.configuration import create_profile, get_config

    config = get_config(create=True)
    create_profile(
        config, name="benchmark", email="aiida@localhost", storage_backend="core.psql_dos", storage_config=storage
    )
    config.set_default_profile("benchmark", overwrite=True)
    config.store()
