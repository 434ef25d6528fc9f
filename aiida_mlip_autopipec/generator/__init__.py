"""Structures to label: pure ASE (`structure`) and the calcfunction around it (`process`)."""
