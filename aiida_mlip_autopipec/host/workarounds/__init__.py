"""Workarounds for aiida-core, one in each module; they apply to one version of it, and do nothing with others."""

from __future__ import annotations

from importlib.metadata import version

FOR_VERSION = "2.9."
"""Prefix of the aiida-core versions that need the workarounds."""


def are_needed() -> bool:
    """Tell whether the installed aiida-core needs the workarounds."""
    return version("aiida-core").startswith(FOR_VERSION)
