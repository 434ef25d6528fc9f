"""Fit of a potential: inputs, job and results of `pace_train`."""
