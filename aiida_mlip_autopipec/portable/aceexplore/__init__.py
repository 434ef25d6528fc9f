"""What `explore_structures` does, divided by idea."""
