"""Builds the inputs of an oracle from its settings; a missing computer, code or file is an error before submission."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aiida.common.exceptions import MultipleObjectsError, NotExistent
from aiida.orm import Dict, InstalledCode, QueryBuilder, load_code

from ..config.errors import UserError
from ..config.oracles import find_oracle
from ..config.schemas.oracle import AseOracleConfig, OracleBase, QuantumEspressoOracleConfig
from ..config.schemas.resources import ResourcesConfig
from ..host.codes import PW_PLUGIN, create_local_pw_code
from ..host.computers import LOCALHOST, prepare_resources
from ..programs.codes import ensure_code
from .complete import complete
from .identity import identify_calculator, identify_pw
from .pseudopotentials import find_pseudopotentials


def prepare_oracle(config: OracleBase, resources: ResourcesConfig, elements: Sequence[str]) -> dict[str, Any]:
    """Return the inputs of an oracle, without the structures.

    :raises UserError: if a computer, a code or a pseudopotential is missing or cannot be used.
    """
    return dict(find_oracle(config.type).prepare(config, resources, elements))


def prepare_ase(config: AseOracleConfig, resources: ResourcesConfig, elements: Sequence[str]) -> dict[str, Any]:
    """Return the inputs of the oracle of an ASE calculator, with the defaults of its recipe."""
    config = complete(config, elements)
    resources = prepare_resources(resources)
    return {
        "settings": Dict(config.model_dump(mode="json")),
        "method": Dict(config.method(identify_calculator(config, resources, elements))),
        "resources": Dict(resources.model_dump(mode="json")),
        "code": ensure_code("label_structures"),
    }


def prepare_pw(
    config: QuantumEspressoOracleConfig, resources: ResourcesConfig, elements: Sequence[str]
) -> dict[str, Any]:
    """Return the inputs of the oracle of pw.x."""
    try:
        import aiida_pseudo  # noqa: F401
        import aiida_quantumespresso  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"oracle.type quantumespresso needs {error.name}: pip install 'aiida-mlip-autopipec[qe]', "
            "and restart the daemon (verdi daemon restart)"
        ) from error
    code = find_pw_code(config.code)
    if resources.computer not in (LOCALHOST, code.computer.label):
        raise UserError(
            f"resources.oracle.computer is '{resources.computer}', but oracle.code '{config.code}' is on "
            f"'{code.computer.label}': pw.x runs on the computer of its code; remove `computer`, or name another code"
        )
    pseudos, config = find_pseudopotentials(config, elements)
    resources = resources.model_copy(update={"computer": code.computer.label})
    if resources.computer != LOCALHOST:
        resources = prepare_resources(resources)
    return {
        "settings": Dict(config.model_dump(mode="json")),
        "method": Dict(
            config.method(
                {element: pseudo.md5 for element, pseudo in pseudos.items()}, code.label, identify_pw(config, code)
            )
        ),
        "resources": Dict(resources.model_dump(mode="json")),
        "code": code,
        "pseudos": pseudos,
    }


def find_pw_code(label: str) -> InstalledCode:
    """Return the AiiDA code of pw.x with a label.

    :raises UserError: if there is no such code, or it cannot be used.
    """
    try:
        code = load_code(label)
    except MultipleObjectsError as error:
        raise UserError(f"oracle.code '{label}' matches several codes: write it as <code>@<computer>") from error
    except (NotExistent, ValueError) as error:
        code = create_local_pw_code(label)
        if code is None:
            known = ", ".join(_pw_codes()) or "none"
            raise UserError(
                f"there is no AiiDA code '{label}' for pw.x (known: {known}); create it with `mlip-auto setup codes "
                "COMPUTER --pw PATH`"
                + (", or put pw.x on the PATH (apt-get install quantum-espresso)" if label.endswith(LOCALHOST) else "")
            ) from error
    if code.default_calc_job_plugin != PW_PLUGIN:
        raise UserError(f"oracle.code '{label}' is for the plugin {code.default_calc_job_plugin}, not {PW_PLUGIN}")
    if not code.computer.is_configured:
        raise UserError(
            f"oracle.code '{label}': its computer '{code.computer.label}' is not configured; run "
            f"`verdi computer configure {code.computer.transport_type} {code.computer.label}`"
        )
    return code


def _pw_codes() -> list[str]:
    query = QueryBuilder().append(InstalledCode, filters={"attributes.input_plugin": PW_PLUGIN})
    return sorted(code.full_label for (code,) in query.iterall())
