"""The method of `explore_structures`: sampling with a potential, stopped by its extrapolation grade."""
