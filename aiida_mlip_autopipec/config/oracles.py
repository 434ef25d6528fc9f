"""The installed oracles, found by their entry points: `oracle.type` in a config chooses one of them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from typing import Annotated, Any

from pydantic import BaseModel, GetCoreSchemaHandler, SerializeAsAny
from pydantic_core import PydanticKnownError, core_schema

from .cutoff import Cutoff
from .errors import UserError, shown
from .extensions import find_extensions
from .schemas.oracle import OracleBase
from .schemas.resources import ResourcesConfig

GROUP = "aiida_mlip_autopipec.oracles"
"""Group of the entry points of oracles: their name is the `type`, and their object an :class:`Oracle`."""

DEFAULT_TYPE = "ase"

Prepare = Callable[[Any, ResourcesConfig, Sequence[str]], Mapping[str, Any]]


@dataclass(frozen=True)
class Oracle:
    """What a package that adds an oracle provides.

    :param settings: model of the section `oracle` of a config, with `type: Literal[NAME] = NAME`.
    :param prepare: returns the inputs of the WorkChain without the structures, from settings, resources and the elements of a
        run. It raises :class:`~.errors.UserError` if something is missing. Import AiiDA in the function, not in its module:
        every command that reads a config imports the module.
    :param workchain: entry point of the WorkChain in the group `aiida.workflows`.
    :param computer: returns the label of the computer of the jobs, if it is not that of the resources; these jobs need no
        Python there.
    :param cutoff: returns the cutoff that `mlip-auto converge` varies, for complete settings, as `prepare` returns them; None
        if there is none. The distance of k-points is the setting `kpoints_distance`.
    """

    settings: type[OracleBase]
    prepare: Prepare
    workchain: str
    computer: Callable[[Any], str] | None = None
    cutoff: Callable[[Any], Cutoff | None] | None = None


def oracle_types() -> list[str]:
    """Return the types of the installed oracles."""
    return sorted({entry.name for entry in find_extensions(GROUP)})


def find_oracle(name: str) -> Oracle:
    """Return the oracle of a type.

    :raises UserError: if no installed package, or more than one, provides it, or its package cannot be imported.
    """
    found = [entry for entry in find_extensions(GROUP) if entry.name == name]
    if not found:
        raise UserError(f"there is no oracle of the type {shown(name)}: choose from {', '.join(oracle_types())}")
    if len({entry.value for entry in found}) > 1:
        raise UserError(
            f"several packages provide oracles of the type '{name}': {', '.join(map(_package_of, found))}; keep only one"
        )
    try:
        oracle = found[0].load()
    except Exception as error:
        raise UserError(
            f"the oracle '{name}' of {_package_of(found[0])} cannot be imported: {type(error).__name__}: {error}"
        ) from error
    if not isinstance(oracle, Oracle):
        raise UserError(f"the oracle '{name}' of {_package_of(found[0])}: {found[0].value} is not an {Oracle.__name__}")
    return oracle


def _package_of(entry: EntryPoint) -> str:
    return entry.value if entry.dist is None else f"{entry.dist.name} {entry.dist.version}"


def type_of(settings: Any) -> str:
    """Return the type that settings of an oracle, a mapping or a model, name; the default if they name none."""
    given = settings.get("type", DEFAULT_TYPE) if isinstance(settings, Mapping) else getattr(settings, "type", settings)
    return str(given)


class InstalledOracles:
    """Annotation of a setting whose model is that of the installed oracle named by `type`."""

    def model_of(self, settings: Any) -> type[BaseModel] | None:
        """Return the model of settings; None if their type is not known."""
        try:
            return find_oracle(type_of(settings)).settings
        except UserError:
            return None

    def models(self) -> list[type[BaseModel]]:
        """Return the models of all installed oracles; one that cannot be imported is left out with a warning."""
        models: list[type[BaseModel]] = []
        for name in oracle_types():
            try:
                models.append(find_oracle(name).settings)
            except UserError as error:
                warnings.warn(str(error), stacklevel=2)
        return models

    def _validate(self, value: Any) -> Any:
        if isinstance(value, OracleBase):
            return value
        if not isinstance(value, Mapping):
            raise ValueError("must hold keys and values, such as {type: ase, calculator: emt}")
        name, known = type_of(value), oracle_types()
        if name not in known:
            context = {"discriminator": "type", "tag": name, "expected_tags": ", ".join(map(repr, known))}
            raise PydanticKnownError("union_tag_invalid", context)
        return find_oracle(name).settings.model_validate(value)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """Validate a mapping by the model of its type."""
        return core_schema.no_info_before_validator_function(self._validate, handler(source))


OracleConfig = Annotated[SerializeAsAny[OracleBase], InstalledOracles()]
"""Settings of an oracle, distinguished by `type`; by default `ase`."""
