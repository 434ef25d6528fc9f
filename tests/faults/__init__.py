"""What can go wrong on one machine, done to runs of a profile that needs no services."""
