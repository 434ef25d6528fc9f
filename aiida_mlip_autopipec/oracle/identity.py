"""The identity of the code behind a label: version, programs and files by content, determined on the computer of the jobs."""

from __future__ import annotations

import contextlib
import json
import math
import shlex
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

from aiida.orm import Computer, InstalledCode, QueryBuilder
from ase.calculators.calculator import names as ase_names

from ..config.errors import UserError
from ..config.recipes import find_recipe
from ..config.schemas.oracle import AseOracleConfig, OracleBase
from ..config.schemas.resources import ResourcesConfig
from ..host.computers import ensure_computer
from ..programs.codes import JOBS

PROBE = JOBS / "mlip_label" / "identity.py"
"""The program that identifies a calculator."""

IDENTITY = "identity"
"""Key of the method with the identity of the code; labels of version 0.1.0 have none."""


def identify_calculator(config: AseOracleConfig, resources: ResourcesConfig, elements: Sequence[str]) -> dict[str, Any]:
    """Return the identity of an ASE calculator on a computer; see :mod:`mlip_label.identity` for what belongs to it.

    :param config: complete settings, as :func:`~.complete.complete` returns them.
    :param resources: complete resources, as :func:`~..host.computers.prepare_resources` returns them.
    :raises UserError: if a file of `identity_files` does not exist there.
    """
    request: dict[str, Any] = {
        "calculator": config.calculator,
        "parameters": {**config.parameters, **({"command": config.command} if config.command else {})},
        "by_kind": config.parameters_by_kind,
        "files": config.identity_files,
        "elements": sorted(elements),
    }
    if (recipe := find_recipe(config.calculator)) is not None:
        request["packages"] = list(recipe.packages)
        request["weights"] = list(recipe.weights(config.parameters))
        request["version"] = recipe.version and [list(recipe.version[0]), recipe.version[1]]
    command = shlex.join(["python3", "-c", PROBE.read_text(encoding="utf-8"), json.dumps(request)])
    try:
        output = _run(ensure_computer(resources.computer), f"{resources.prepend_text}\n{command}")
        found: dict[str, Any] = json.loads(output.splitlines()[-1])
    except (OSError, ValueError, IndexError) as error:
        found = {"unknown": f"computer {resources.computer}: {error or 'no answer'}"}
    unknown = found.pop("unknown")
    if unknown is not None and unknown.startswith("identity_files"):
        raise UserError(f"oracle.{unknown}")
    return _named(config, {name: value for name, value in found.items() if value}, unknown)


def identify_pw(config: OracleBase, code: InstalledCode) -> dict[str, Any]:
    """Return the identity of pw.x: the hash of its executable file."""
    try:
        return _named(config, {"executable": _executable(code)[0]}, None)
    except (OSError, ValueError) as error:
        return _named(config, {}, f"{code.full_label}: its executable cannot be hashed ({error})")


def _executable(code: InstalledCode) -> tuple[str, int]:
    """Return the SHA-256 of the executable file of a code, and the time of its last change (s since 1970).

    :raises OSError: if the computer cannot be reached, or has no such file.
    :raises ValueError: if the answer cannot be read.
    """
    path = shlex.quote(str(code.filepath_executable))
    find = f'program=$(command -v -- {path}) && sha256sum "$program" && stat -L -c %Y "$program"'
    *_, digest, changed = _run(
        code.computer, f"{code.computer.get_prepend_text()}\n{code.prepend_text}\n{find}"
    ).splitlines()
    return digest.split()[0].lstrip("\\"), int(changed)


def unknown_warning(method: Mapping[str, Any]) -> str | None:
    """Return a warning for the user if labels of a method are not reused by other runs."""
    reason = method.get(IDENTITY, {}).get("unknown")
    if reason is None:
        return None
    return (
        f"oracle: the code that computes the labels cannot be identified ({reason}), so other runs cannot reuse them; "
        "to allow it, give the method a name with the setting oracle.identity"
    )


def is_the_same_ase(method: Mapping[str, Any], versions: Mapping[str, Any]) -> bool:
    """Tell whether a label of version 0.1.0 was computed by the same method: a calculator of ASE that uses no other code.

    :param method: with its identity.
    :param versions: of the job that computed the label.
    """
    identity = method.get(IDENTITY, {})
    return method.get("calculator") in ase_names and identity == {"packages": {"ase": versions.get("ase")}}


def unchanged_since(method: Mapping[str, Any]) -> float:
    """Return the time (s since 1970) of the last change of the executable of pw.x, or infinity if it is unknown.

    Labels of version 0.1.0 that were stored later were computed by this executable.

    :param method: with its identity.
    """
    executable = method.get(IDENTITY, {}).get("executable")
    if executable is None or method.get(IDENTITY) != {"executable": executable}:
        return math.inf
    since = math.inf
    for (code,) in QueryBuilder().append(InstalledCode, filters={"label": method.get("code")}).all():
        with contextlib.suppress(OSError, ValueError):
            digest, changed = _executable(code)
            if digest == executable:
                # The time has a resolution of a second.
                since = min(since, changed + 1)
    return since


def _named(config: OracleBase, found: dict[str, Any], unknown: str | None) -> dict[str, Any]:
    if config.identity is not None:
        return {"name": config.identity, **found}
    if unknown is not None:
        # A unique identity, since an unidentified method may have changed between runs.
        return {"unknown": unknown, "run": uuid4().hex}
    return found


def _run(computer: Computer, script: str) -> str:
    """Return what a script prints on a computer.

    :raises OSError: if the computer cannot be reached, or the script fails.
    """
    with computer.get_transport() as transport:
        status, output, errors = transport.exec_command_wait(shlex.join(["bash", "-c", script]))
    if status:
        raise OSError(errors.strip().splitlines()[-1] if errors.strip() else f"status {status}")
    return str(output)
