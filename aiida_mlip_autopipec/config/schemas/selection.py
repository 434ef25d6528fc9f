"""Which of many structures are worth a label."""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveInt

from .base import Settings


class SelectionConfig(Settings):
    """Selection before labelling, by what atoms see (functions of an ACE basis); no label is needed for it."""

    method: Literal["d_optimal", "farthest_point", "none"] = "d_optimal"
    """`d_optimal` chooses the structures that tell a fit most together (the determinant of its information matrix);
    `farthest_point` always the one least like those chosen before; `none` makes no more structures than are labelled."""

    pool: PositiveInt = 4
    """How many times `count` structures are made to choose from."""

    block: PositiveInt = 50
    """The pool is gone through in parts, of each so many structures are chosen: so a larger `count` chooses the same ones and
    some more."""

    n_functions: PositiveInt = 200
    """Number of functions of each element by which structures are told apart."""
