"""The recipes of this package, one module for each code or foundation model."""
