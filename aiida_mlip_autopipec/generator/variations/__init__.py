"""Variations of the user's structures."""
