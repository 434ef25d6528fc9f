"""Queries of the provenance graph, and its drawing."""
