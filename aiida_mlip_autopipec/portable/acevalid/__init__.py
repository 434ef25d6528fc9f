"""What `validate_potential` does, divided by idea."""
