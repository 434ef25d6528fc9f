"""Modules shared by the programs; those that need python-ace import it in their functions."""
