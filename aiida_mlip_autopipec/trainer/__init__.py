"""From a dataset to an ACE potential."""
