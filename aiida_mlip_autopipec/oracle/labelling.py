"""Keeps `complete_report` importable from here: stored nodes name a calcfunction without entry point by its module."""

from .workchain import complete_report

__all__ = ["complete_report"]
