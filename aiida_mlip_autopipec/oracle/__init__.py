"""Labelling: energies, forces and stresses from a reference method."""
