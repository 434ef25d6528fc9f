"""Levels of accuracy of pw.x: the protocols of aiida-quantumespresso, read from its files without an import of AiiDA."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from .recipes import Level


def pw_protocol(level: Level) -> dict[str, Any]:
    """Return the settings of a protocol: `pseudo_family`, `kpoints_distance` (1/Å), `smearing`, `degauss` (Ry) and
    `convergence` (Ry per atom).

    :raises ValueError: if aiida-quantumespresso is not installed, or has no such protocol.
    """
    spec = find_spec("aiida_quantumespresso")
    if spec is None or not spec.submodule_search_locations:
        raise ValueError("a level needs aiida-quantumespresso: pip install 'aiida-mlip-autopipec[qe]'")
    path = Path(spec.submodule_search_locations[0], "workflows", "protocols", "pw", "base.yaml")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        inputs = _merged(content["default_inputs"], content["protocols"][level])
        system = inputs["pw"]["parameters"]["SYSTEM"]
        return {
            "pseudo_family": inputs["pseudo_family"],
            "kpoints_distance": float(inputs["kpoints_distance"]),
            "smearing": system["smearing"],
            "degauss": float(system["degauss"]),
            "convergence": float(inputs["meta_parameters"]["conv_thr_per_atom"]),
        }
    except (OSError, KeyError, TypeError) as error:
        raise ValueError(
            f"this version of aiida-quantumespresso has no protocol '{level}' for pw.x ({error})"
        ) from error


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Return nested mappings merged; values of `above` have precedence."""
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merged(merged[key], value) if both else value
    return merged
