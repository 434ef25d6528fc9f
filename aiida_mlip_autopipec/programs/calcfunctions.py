"""Check of calcfunctions that a WorkChain has run."""

from __future__ import annotations

from aiida.orm import CalcFunctionNode


def failed(function: CalcFunctionNode) -> bool:
    """Tell whether a calcfunction failed; a failed one is excluded from AiiDA's caching."""
    if function.is_finished_ok:
        return False
    function.base.caching.is_valid_cache = False
    return True
