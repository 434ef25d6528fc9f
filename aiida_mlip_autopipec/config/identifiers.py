"""The range of primary keys of nodes."""

from __future__ import annotations

LARGEST_PK = 2**31 - 1
"""Largest PK of a node: PostgreSQL uses 32 bits."""


def is_beyond_any_pk(identifier: str) -> bool:
    """Return whether an identifier is a number beyond all PKs, which would be a database error in a query."""
    # Python converts at most a few thousand digits.
    return identifier.isdecimal() and (len(identifier) > 100 or int(identifier) > LARGEST_PK)
