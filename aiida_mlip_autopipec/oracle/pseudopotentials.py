"""The pseudopotentials of pw.x, and the cutoffs that suit them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiida.common.exceptions import NotExistent
from aiida.orm import load_group

from ..config.errors import UserError
from ..config.schemas.oracle import QuantumEspressoOracleConfig
from .pw_inputs import DENSITY_CUTOFF_RATIO

if TYPE_CHECKING:
    from aiida_pseudo.data.pseudo import UpfData

ULTRASOFT_CUTOFF_RATIO = 8.0
"""Ratio of the cutoffs of density and wave functions if a pseudopotential is ultrasoft or PAW."""

_TYPE = re.compile(r'pseudo_type\s*=\s*"\s*(\w+)|^\s*(NC|SL|US|PAW)\s', re.MULTILINE)
"""The type of a pseudopotential in the header of a UPF file, version 2 or 1."""


def find_pseudopotentials(
    config: QuantumEspressoOracleConfig, elements: Sequence[str]
) -> tuple[dict[str, UpfData], QuantumEspressoOracleConfig]:
    """Return the pseudopotential of each element, and the settings with cutoffs.

    Cutoffs that are not given are those that the family recommends. With a given `ecutwfc`, `ecutrho` has the ratio of the
    recommended cutoffs; without a recommendation, the usual ratio of the type of pseudopotential.

    :raises UserError: if a pseudopotential is missing or cannot be used, or no cutoff is known.
    """
    if config.pseudo_family is None:
        pseudos = {element: _read_upf(element, config.pseudopotentials[element]) for element in elements}
        recommended = None
    else:
        family = _family(config.pseudo_family)
        pseudos = _of_family(family, elements)
        recommended = _recommended_cutoffs(family, elements)
        if recommended is None and config.ecutwfc is None:
            raise UserError(
                f"oracle.pseudo_family '{family.label}' recommends no cutoffs: give oracle.ecutwfc and oracle.ecutrho"
            )
    ecutwfc, ecutrho = config.ecutwfc, config.ecutrho
    if recommended is not None:
        ratio = recommended[1] / recommended[0]
        ecutwfc = ecutwfc or recommended[0]
    else:
        ratio = density_cutoff_ratio(pseudo.get_content() for pseudo in pseudos.values())
    if ecutrho is None and ecutwfc is not None:
        ecutrho = ratio * ecutwfc
    return pseudos, config.model_copy(update={"ecutwfc": ecutwfc, "ecutrho": ecutrho})


def density_cutoff_ratio(contents: Iterable[str]) -> float:
    """Return the usual ratio of the cutoffs of density and wave functions for the UPF files with these contents."""
    types = {name for content in contents for name in _types(content)}
    return DENSITY_CUTOFF_RATIO if types.isdisjoint({"US", "USPP", "PAW"}) else ULTRASOFT_CUTOFF_RATIO


def _types(content: str) -> list[str]:
    header = content[content.find("<PP_HEADER") :]
    found = _TYPE.search(header)
    return [] if found is None else [str(found[1] or found[2]).upper()]


def _read_upf(element: str, path: Path) -> UpfData:
    from aiida_pseudo.data.pseudo import UpfData

    where = f"oracle.pseudopotentials.{element}: {path}"
    try:
        pseudo = UpfData.get_or_create(path.expanduser().resolve())
    except OSError as error:
        raise UserError(f"{where} cannot be read: {error.strerror or error}") from error
    except (ValueError, UnicodeDecodeError) as error:
        raise UserError(f"{where} is not a valid UPF file: {str(error)[:200]}") from error
    if pseudo.element != element:
        raise UserError(f"{where} is a pseudopotential of {pseudo.element}, not of {element}")
    return pseudo


def _family(label: str) -> Any:
    try:
        return load_group(label)
    except NotExistent as error:
        raise UserError(
            f"oracle.pseudo_family '{label}' is not installed (see `aiida-pseudo list`); install it with "
            "`aiida-pseudo install`, e.g. `aiida-pseudo install sssp`, or name UPF files under oracle.pseudopotentials"
        ) from error


def _of_family(family: Any, elements: Sequence[str]) -> dict[str, UpfData]:
    try:
        return {element: family.get_pseudo(element) for element in elements}
    except (ValueError, AttributeError) as error:
        raise UserError(f"oracle.pseudo_family '{family.label}' cannot be used: {error}") from error


def _recommended_cutoffs(family: Any, elements: Sequence[str]) -> tuple[float, float] | None:
    """Return the cutoffs (Ry) of wave functions and density that a family recommends, or None."""
    try:
        ecutwfc, ecutrho = family.get_recommended_cutoffs(elements=tuple(elements), unit="Ry")
    except (ValueError, AttributeError):
        return None
    return float(ecutwfc), float(ecutrho)
