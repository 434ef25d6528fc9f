"""Exploration: walkers that let a potential move atoms, and hand in what it does not know."""
