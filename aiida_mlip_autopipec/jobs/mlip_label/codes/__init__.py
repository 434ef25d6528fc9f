"""Codes and models that need more than ASE has by name, one module each, named as the calculator.

A module has `make(**parameters)`, which returns a calculator, if ASE has none by that name; and `adapt(parameters, atoms)`,
which returns the keyword arguments of ASE's calculator for a structure (None for a calculator of many), if they depend on it. A
calculator with a method `label_batch(structures)` computes structures at the same time, and returns the labels of each.
"""
