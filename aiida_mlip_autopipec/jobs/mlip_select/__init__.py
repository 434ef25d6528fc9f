"""The method of `select_structures`: selection of structures to label, from descriptors alone."""
