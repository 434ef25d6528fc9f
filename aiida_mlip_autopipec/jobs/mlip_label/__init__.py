"""Labels of structures by an ASE calculator, and the identity of the calculator."""
