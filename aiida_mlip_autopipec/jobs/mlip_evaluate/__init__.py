"""The calculations of `validate_potential`."""
