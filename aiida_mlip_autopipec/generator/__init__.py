"""Generation of structures to label."""
