"""Faults on one machine, injected into runs of a profile that needs no services."""
