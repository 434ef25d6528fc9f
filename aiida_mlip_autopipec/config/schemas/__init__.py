"""Models of the settings, one module for each stage."""
