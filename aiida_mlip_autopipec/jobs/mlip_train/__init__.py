"""The method of `pace_train`; needs numpy, scipy, ase and python-ace."""
