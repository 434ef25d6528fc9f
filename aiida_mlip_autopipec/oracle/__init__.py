"""Energies, forces and stresses from a reference method."""
