"""Check of calcfunctions that a WorkChain has run."""

from __future__ import annotations

from aiida.orm import CalcFunctionNode


def failed_and_uncached(function: CalcFunctionNode) -> bool:
    """Return whether a calcfunction failed; if so, exclude its node from AiiDA's caching."""
    if function.is_finished_ok:
        return False
    function.base.caching.is_valid_cache = False
    return True
