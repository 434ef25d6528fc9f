"""The work behind `pace_train`: needs numpy, scipy, ase and python-ace, and runs wherever these are."""
