"""Settings of the selection."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .base import PositiveInt, StrictSettings


class SelectionConfig(StrictSettings):
    """Selection before labelling, by descriptors of the atoms (functions of an ACE basis); it needs no labels."""

    method: Literal["d_optimal", "farthest_point", "none"] = "d_optimal"
    """`d_optimal` selects the structures that maximise the determinant of the information matrix of a fit; `farthest_point`
    selects, one after the other, the structure least similar to those selected before; `none` labels all structures."""

    pool: PositiveInt = 4
    """Size of the pool in units of `generator.count`."""

    block: PositiveInt = 50
    """Number of structures selected from each part (block) of the pool. Because of the blocks, a larger `count` selects the
    same structures and additional ones."""

    representative: float = Field(default=0.5, ge=0.0, le=1.0)
    """Fraction of the selected structures that are drawn at random from the pool, besides isolated atoms, dimers and given
    structures, which are always selected. The others are the extremes of the pool: alone, they may contain no crystal of an
    element near its equilibrium volume. In active learning it applies to the start, not to the rounds."""

    n_functions: PositiveInt = 200
    """Number of basis functions that describe an atom, for each element."""
