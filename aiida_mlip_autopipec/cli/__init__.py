"""The commands of `mlip-auto`: thin; parse, call, print. AiiDA is imported by those that need it."""
