"""Code blocks of the documentation."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "ARCHITECTURE.md"]
    + [page for page in (ROOT / "docs").rglob("*.md") if "_build" not in page.parts]
)

_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w+)\n(?P<text>.*?)^(?P=indent)```$", re.M | re.S)
_MARKER = re.compile(r"<!-- (?P<kind>test|config|run by): (?P<value>\S+) -->\n\s*\Z")


@dataclass(frozen=True)
class Block:
    """A fenced code block, with the comment that stands before it."""

    page: Path
    line: int
    language: str
    text: str
    kind: str
    value: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def commands(self) -> list[list[str]]:
        """The words of each simple command."""
        whole = self.text.replace("\\\n", " ")
        found: list[list[str]] = []
        for line in whole.splitlines():
            words: list[str] = []
            for word in [*shlex.split(line, comments=True), "&&"]:
                if word == "&&":
                    found += [words] if words else []
                    words = []
                else:
                    words.append(word)
        return found


def blocks(*languages: str) -> list[Block]:
    """Return the blocks of all pages in some languages."""
    return [block for page in PAGES for block in _of(page) if block.language in languages]


def _of(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for match in _FENCE.finditer(text):
        marker = _MARKER.search(text[: match.start()])
        indent = len(match["indent"])
        content = "\n".join(line[indent:] for line in match["text"].splitlines()) + "\n"
        line = text.count("\n", 0, match.start()) + 1
        kind, value = (marker["kind"], marker["value"]) if marker else ("", "")
        yield Block(page, line, match["language"], content, kind, value)
