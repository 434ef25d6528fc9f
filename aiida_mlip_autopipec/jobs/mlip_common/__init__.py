"""Modules shared by the programs that use python-ace."""
