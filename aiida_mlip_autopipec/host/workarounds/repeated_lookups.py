"""Fewer lookups in the repository's own database.

The key of a stored file is its SHA-256 hash. aiida-core 2.9 nevertheless asks the repository whether a file exists before
it returns its hash or opens it, and for each question opens and closes the database of the repository. That took a third of
the processor time of a run.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import BinaryIO

from . import are_needed

_installed = False


def install() -> None:
    """Let the repository return the hash of a file by its key, and open a file without checking first that it exists."""
    global _installed
    if _installed or not are_needed():
        return
    from aiida.repository.backend import DiskObjectStoreRepositoryBackend
    from disk_objectstore.exceptions import NotExistent

    with_lookup = DiskObjectStoreRepositoryBackend.get_object_hash

    def get_object_hash(self: DiskObjectStoreRepositoryBackend, key: str) -> str:
        return key if self._container.hash_type == "sha256" else with_lookup(self, key)

    @contextmanager
    def open_object(self: DiskObjectStoreRepositoryBackend, key: str) -> Iterator[BinaryIO]:
        with ExitStack() as stack:
            try:
                stream = stack.enter_context(self._container.get_object_stream(key))
            except NotExistent as error:
                raise FileNotFoundError(f"object with key `{key}` does not exist.") from error
            yield stream

    DiskObjectStoreRepositoryBackend.get_object_hash = get_object_hash
    DiskObjectStoreRepositoryBackend.open = open_object
    _installed = True
