"""Files of the repository are hashed and opened without an earlier lookup, with the same results."""

from __future__ import annotations

import io

import pytest
from aiida import orm
from aiida.manage import get_manager
from aiida.manage.configuration import Profile

from aiida_mlip_autopipec.host.workarounds import repeated_lookups


def test_hashes_and_contents_are_the_same(aiida_profile: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    from aiida.repository.backend import DiskObjectStoreRepositoryBackend as Backend

    node = orm.SinglefileData(io.BytesIO(b"content"), filename="a.txt").store()
    repository = get_manager().get_profile_storage().get_repository()
    key = node.base.repository.serialize()["o"]["a.txt"]["k"]
    monkeypatch.setattr(repeated_lookups, "_installed", False)
    monkeypatch.setattr(Backend, "get_object_hash", Backend.get_object_hash)
    monkeypatch.setattr(Backend, "open", Backend.open)
    before = repository.get_object_hash(key), node.base.caching.compute_hash()
    repeated_lookups.install()
    assert (repository.get_object_hash(key), node.base.caching.compute_hash()) == before
    with repository.open(key) as stream:
        assert stream.read() == b"content"
    assert node.get_content() == "content"
    with pytest.raises(FileNotFoundError, match="does not exist"), repository.open("0" * 64):
        pass
    assert repository.has_object(key) and not repository.has_object("0" * 64)
