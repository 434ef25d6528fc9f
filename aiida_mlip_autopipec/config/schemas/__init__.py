"""The models, one module for each part of a run."""
