"""Errors with messages for the user, and the format of values in messages."""

from __future__ import annotations

from typing import Any

MAX_VALUE_LENGTH, MAX_LINE_LENGTH = 120, 1000
"""Maximum numbers of characters of a value and of a line in a message."""


class UserError(ValueError):
    """An error that the user can correct; the message says what is wrong and what is allowed."""


def shown(value: Any) -> str:
    """Return a value for a message, shortened and with control characters escaped."""
    text = repr(value)
    return text if len(text) <= MAX_VALUE_LENGTH else f"{text[: MAX_VALUE_LENGTH - 4]} ..."


def safe_message(text: str) -> str:
    """Return a message for a terminal: control characters, which could move the cursor, are escaped; long lines are cut."""
    lines = []
    for line in text.split("\n"):
        kept = line if len(line) <= MAX_LINE_LENGTH else f"{line[:MAX_LINE_LENGTH]} ..."
        lines.append("".join(char if char.isprintable() or char == "\t" else ascii(char)[1:-1] for char in kept))
    return "\n".join(lines)
