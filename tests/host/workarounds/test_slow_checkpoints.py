"""Data written by libyaml are read back unchanged."""

from __future__ import annotations

from aiida import orm
from aiida.common.extendeddicts import AttributeDict
from aiida.common.links import LinkType
from aiida.manage.configuration import Profile
from aiida.orm.utils import serialize
from plumpy.utils import AttributesFrozendict

from aiida_mlip_autopipec.host.workarounds import slow_checkpoints


def test_serialised_data_are_read_back_unchanged(aiida_profile: Profile) -> None:
    slow_checkpoints.install()
    assert serialize.AiiDADumper.__mro__[1].__name__ == "CEmitter"
    node = orm.Int(1).store()
    data = {
        "node": node,
        "enum": LinkType.CREATE,
        "mapping": AttributeDict({"a": [1, 2.5e-7, None, True], "text": "two\nlines: 'ü' \"quoted\"\t" + "long " * 60}),
        "frozen": AttributesFrozendict({"b": {"nested": ["1", "no", "2026-01-01"]}}),
        "tuple": (1, "2"),
    }
    written = serialize.serialize(data)
    read = serialize.deserialize_unsafe(written)
    assert read.pop("node").uuid == node.uuid
    assert read == {key: value for key, value in data.items() if key != "node"}
    assert (type(read["mapping"]), type(read["frozen"])) == (AttributeDict, AttributesFrozendict)
    assert serialize.serialize(data, encoding="utf-8").decode() == written
