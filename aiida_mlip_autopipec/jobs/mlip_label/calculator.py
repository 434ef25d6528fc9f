"""Construction of a calculator from its name, keywords and the command of its code."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import shlex
from collections.abc import Sequence
from typing import Any

from ase import Atoms
from ase.calculators.calculator import FileIOCalculator, get_calculator_class
from ase.calculators.genericfileio import BaseProfile, GenericFileIOCalculator

STATEFUL = frozenset({"gpaw", "cp2k", "psi4", "vasp", "castep"})
"""Calculators whose result for a structure depends, within the convergence, on the structure before it, or on files left by it.
Calculators that work by files also count (see :func:`is_reusable`)."""


MOLECULES_ONLY = frozenset({"orca", "psi4"})
"""Calculators that ignore the cell: their results for periodic structures are not labels."""


def make_calculator(method: dict[str, Any], parameters: dict[str, Any], atoms: Atoms | None = None) -> Any:
    """Return a new calculator.

    :param atoms: the structure that it is for; None: the calculator is used for several structures.
    :param method: `calculator`, its ASE name or import path; `command`, which starts its code; `mpirun`, the words that start
        MPI processes, put before the command.
    """
    code = _code_module(method["calculator"])
    make = getattr(code, "make", None) or _find_calculator(method["calculator"])
    if hasattr(code, "adapt"):
        parameters = code.adapt(parameters, atoms)
    command, mpirun = method.get("command"), method.get("mpirun") or []
    if not (command or mpirun):
        return make(**parameters)
    if isinstance(make, type) and issubclass(make, GenericFileIOCalculator):
        return _with_profile(make, command, mpirun, parameters)
    return make(command=_joined(mpirun, command or _own_command(make)), **parameters)


def _code_module(name: str) -> Any:
    """Return the module of :mod:`.codes` for a calculator, or None."""
    if not name.isidentifier() or importlib.util.find_spec(f"{__package__}.codes.{name}") is None:
        return None
    return importlib.import_module(f"{__package__}.codes.{name}")


def ignores_the_cell(calculator: Any) -> bool:
    """Return whether a calculator ignores the cell of a structure."""
    return not MOLECULES_ONLY.isdisjoint(type(calculator).__module__.split("."))


def _find_calculator(name: str) -> Any:
    """Return the class or factory of a calculator."""
    if ":" in name or "." in name:
        module, _, attribute = name.replace(":", ".").rpartition(".")
        return getattr(importlib.import_module(module), attribute)
    return get_calculator_class(name)


def is_reusable(calculator: Any) -> bool:
    """Return whether a calculator may compute several structures, each with the result that a new calculator gives."""
    if isinstance(calculator, (FileIOCalculator, GenericFileIOCalculator)):
        return False
    return STATEFUL.isdisjoint(type(calculator).__module__.split("."))


def _with_profile(make: Any, command: str | None, mpirun: Sequence[str], parameters: dict[str, Any]) -> Any:
    """Return a calculator whose command and folders are in a profile, as ASE names it."""
    module = inspect.getmodule(make)
    profiles = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, BaseProfile) and value is not BaseProfile
    ]
    profile = profiles[0]
    if command is None:
        command = make(**parameters).profile.command
    names = [name for name in inspect.signature(profile).parameters if name not in ("command", "kwargs")]
    folders = {name: parameters[name] for name in names if name in parameters}
    others = {name: value for name, value in parameters.items() if name not in folders}
    return make(profile=profile(_joined(mpirun, command), **folders), **others)


def _own_command(make: Any) -> str:
    command = getattr(make, "command", None) or getattr(make, "default_command", None)
    if not command:
        raise ValueError("the command that starts the code is not known: set oracle.command")
    return str(command)


def _joined(mpirun: Sequence[str], command: str) -> str:
    return " ".join([*(shlex.quote(word) for word in mpirun), command])
