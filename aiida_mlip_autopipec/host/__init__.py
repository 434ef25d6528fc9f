"""The environment of runs: AiiDA profile, this machine as a computer, codes, daemon."""
