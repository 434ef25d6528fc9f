"""Formulas as MathML, made when the documentation is built: pages need no script and no network to show them."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert

_BOLD = re.compile(r'<mi mathvariant="bold">([A-Za-z])</mi>')


def to_mathml(latex: str, display: str) -> str:
    """Return a formula as MathML; bold letters are characters of their own, since browsers ignore the attribute.

    :param display: `inline` or `block`.
    """

    def bold(match: re.Match[str]) -> str:
        letter = match[1]
        first, base = (0x1D400, "A") if letter.isupper() else (0x1D41A, "a")
        return f"<mi>{chr(first + ord(letter) - ord(base))}</mi>"

    return _BOLD.sub(bold, convert(latex, display=display))


def _inline(translator: Any, node: nodes.math) -> None:
    translator.body.append(to_mathml(node.astext(), "inline"))
    raise nodes.SkipNode


def _block(translator: Any, node: nodes.math_block) -> None:
    translator.body.append(f'<div class="math-block">{to_mathml(node.astext(), "block")}</div>\n')
    raise nodes.SkipNode


def setup(app: Any) -> dict[str, bool]:
    """Register the renderer with Sphinx."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
