"""Checkpoints written by libyaml.

aiida-core 2.9 writes the checkpoint of a process after each step, and does so by PyYAML's emitter in Python. That took a
tenth of the processor time of a small run.
"""

from __future__ import annotations

from typing import Any

from . import are_needed

_installed = False


def install() -> None:
    """Let AiiDA serialize by libyaml, if PyYAML was built with it."""
    global _installed
    if _installed or not are_needed():
        return
    _installed = True
    import yaml
    from aiida.orm.utils import serialize
    from yaml.representer import Representer
    from yaml.resolver import Resolver

    if not yaml.__with_libyaml__:
        return
    from yaml._yaml import CEmitter

    class Dumper(CEmitter, serialize.AiiDADumper):
        def __init__(
            self, stream: Any, default_style: str | None = None, default_flow_style: bool = False, **options: Any
        ) -> None:
            sort_keys = options.pop("sort_keys", True)
            CEmitter.__init__(self, stream, **options)
            Representer.__init__(self, default_style, default_flow_style, sort_keys)
            Resolver.__init__(self)

    serialize.AiiDADumper = Dumper
