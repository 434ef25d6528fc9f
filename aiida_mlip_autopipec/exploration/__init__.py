"""Exploration: samplers driven by a potential save structures with a large extrapolation grade."""
