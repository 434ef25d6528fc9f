"""The reference method."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from ase.calculators.calculator import names as ase_names
from ase.calculators.emt import parameters as emt_parameters
from pydantic import Discriminator, Field, PositiveFloat, PositiveInt, Tag, field_validator, model_validator

from .base import ChemicalSymbol, Settings

EMT_ELEMENTS = frozenset(emt_parameters)
"""Elements that ASE's effective medium theory knows."""

MAGNETIC_ELEMENTS = frozenset({"Cr", "Mn", "Fe", "Co", "Ni"})
"""Elements whose crystals are computed with spin unless the user says otherwise."""

_IMPORT_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*[.:][A-Za-z_]\w*")


class OracleBase(Settings):
    """What all oracles have in common."""

    reuse: bool = True
    """Take labels that this profile already holds for the same structure and the same method, instead of computing them
    again."""

    max_concurrent_jobs: PositiveInt = 8
    """Jobs in the queue at a time."""

    max_failed_fraction: float = Field(default=0.1, ge=0.0, le=1.0)
    """The run ends with an error when a larger part of the structures could not be labelled; what was labelled is kept."""

    @property
    def title(self) -> str:
        """Name of the method, for people."""
        return str(self.model_dump()["type"])

    def unsupported(self, elements: Collection[str]) -> str | None:
        """Say what is wrong if the method cannot do some of the elements."""
        return None


class AseOracleConfig(OracleBase):
    """Any ASE calculator, run in batches by the portable script `label_structures`."""

    type: Literal["ase"] = "ase"
    """Kind of oracle: `ase` for any ASE calculator, `quantumespresso` for pw.x through aiida-quantumespresso."""

    calculator: str = "emt"
    """An ASE name (emt, lj, eam, gpaw, ...) or the import path of a calculator class or factory (`package.module:Class`),
    which is imported, and so runs code, where the jobs run."""

    parameters: dict[str, Any] = Field(default_factory=dict)
    """Keyword arguments of the calculator."""

    structures_per_job: PositiveInt = 100
    """Structures labelled by one job: about 100 for a cheap calculator, 1 for an expensive one."""

    seconds_per_structure: PositiveFloat | None = None
    """A structure that takes longer is given up, reported, and the next one begun; no limit if empty."""

    max_attempts: PositiveInt = 3
    """How often a structure is submitted again when its job was killed before its turn was over."""

    @field_validator("calculator")
    @classmethod
    def _known_or_importable(cls, value: str) -> str:
        if value in ase_names or _IMPORT_PATH.fullmatch(value):
            return value
        raise ValueError(
            f"'{value}' is neither one of ASE's calculators ({', '.join(sorted(ase_names))}) "
            "nor an import path such as 'package.module:Class'"
        )

    @property
    def title(self) -> str:
        """Name of the calculator."""
        return self.calculator

    def method(self) -> dict[str, Any]:
        """Return the identity of the labels: what changes an energy, and nothing else."""
        return {"type": self.type, "calculator": self.calculator, "parameters": self.parameters}

    def unsupported(self, elements: Collection[str]) -> str | None:
        """Say which elements effective medium theory does not know; what others know shows when they run."""
        unknown = [element for element in elements if element not in EMT_ELEMENTS]
        if self.calculator != "emt" or not unknown:
            return None
        return (
            f"effective medium theory does not know {', '.join(unknown)} (only {', '.join(sorted(EMT_ELEMENTS))}); choose "
            "another oracle.calculator: one of ASE's or an import path"
        )


class QuantumEspressoOracleConfig(OracleBase):
    """Density functional theory by Quantum ESPRESSO's pw.x, one AiiDA job a structure.

    It needs `pip install 'aiida-mlip-autopipec[qe]'`. Clusters are computed in a box of their own, at the gamma point.
    """

    type: Literal["quantumespresso"] = "quantumespresso"
    """Kind of oracle: `ase` for any ASE calculator, `quantumespresso` for pw.x through aiida-quantumespresso."""

    code: str = "pw@localhost"
    """Label of the AiiDA code of pw.x (`verdi code list`). `pw@localhost` is made if pw.x is on the PATH."""

    pseudo_family: str | None = None
    """A family of pseudopotentials installed by `aiida-pseudo install`, e.g. SSSP/1.3/PBEsol/efficiency."""

    pseudopotentials: dict[ChemicalSymbol, Path] = Field(default_factory=dict)
    """Or else the UPF file of each element."""

    ecutwfc: PositiveFloat | None = None
    """Cutoff of the wave functions, in Ry; what the family recommends if empty."""

    ecutrho: PositiveFloat | None = None
    """Cutoff of the density, in Ry; what the family recommends if empty, else four times that of the wave functions, which
    suits norm-conserving pseudopotentials only."""

    kpoints_distance: float = Field(default=0.15, gt=0.0, le=2.0)
    """Largest distance between k-points, in 1/Å (with the factor 2π), along periodic directions."""

    smearing: Literal["cold", "gaussian", "methfessel-paxton", "fermi-dirac"] = "cold"
    """Smearing of the occupations. The labels are free energies, of which the forces are the derivative."""

    degauss: PositiveFloat = 0.02
    """Width of the smearing, in Ry."""

    spin: Literal["auto", "none", "all"] = "auto"
    """What is computed with collinear spin: nothing, everything, or (`auto`) clusters and isolated atoms, whose shells are
    open, and what holds Cr, Mn, Fe, Co or Ni."""

    starting_magnetization: dict[ChemicalSymbol, Annotated[float, Field(ge=-1.0, le=1.0)]] = Field(default_factory=dict)
    """Magnetization of an element at the start of a computation with spin, -1 to 1 of its valence; 0.5 if not given."""

    vacuum: float = Field(default=5.0, ge=2.0, le=50.0)
    """Vacuum, in Å, on each side of a structure along directions in which it is not periodic."""

    convergence: PositiveFloat = 1e-10
    """Convergence threshold of the self-consistent cycle, in Ry an atom."""

    overrides: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Anything else for pw.x, by namelist: `{SYSTEM: {nosym: true}, ELECTRONS: {mixing_beta: 0.3}}`."""

    max_iterations: PositiveInt = 3
    """How often pw.x is started for one structure: it is started again, with milder settings, when it does not converge."""

    @field_validator("overrides")
    @classmethod
    def _known_namelists(cls, value: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        upper = {name.upper(): content for name, content in value.items()}
        unknown = sorted(upper.keys() - {"CONTROL", "SYSTEM", "ELECTRONS"})
        if unknown:
            raise ValueError(f"unknown namelist {', '.join(unknown)}; allowed: CONTROL, SYSTEM, ELECTRONS")
        taken = {"calculation", "prefix", "outdir", "pseudo_dir", "ibrav", "nat", "ntyp", "ecutwfc", "ecutrho"}
        clash = sorted(taken & {key.lower() for content in upper.values() for key in content})
        if clash:
            raise ValueError(f"{', '.join(clash)} cannot be overridden here (cutoffs have settings of their own)")
        return upper

    @model_validator(mode="after")
    def _pseudopotentials_from_one_place(self) -> QuantumEspressoOracleConfig:
        if (self.pseudo_family is None) == (not self.pseudopotentials):
            raise ValueError(
                "give either pseudo_family (see `aiida-pseudo install --help`) or pseudopotentials, "
                "the UPF file of each element"
            )
        if self.pseudopotentials and self.ecutwfc is None:
            raise ValueError("ecutwfc is required with pseudopotentials from files, which recommend none")
        return self

    def method(self, pseudopotentials: Mapping[str, str], code: str) -> dict[str, Any]:
        """Return the identity of the labels: what changes an energy, and nothing else.

        :param pseudopotentials: hash of the content of the pseudopotential of each element.
        :param code: the name of the code; give another version of pw.x another name.
        """
        relevant = {
            "type",
            "ecutwfc",
            "ecutrho",
            "kpoints_distance",
            "smearing",
            "degauss",
            "spin",
            "starting_magnetization",
            "vacuum",
            "convergence",
            "overrides",
        }
        identity = self.model_dump(mode="json", include=relevant)
        return {**identity, "pseudopotentials": dict(pseudopotentials), "code": code}

    def unsupported(self, elements: Collection[str]) -> str | None:
        """Say which elements have no pseudopotential file; a family is asked when the run is built."""
        missing = [element for element in elements if element not in self.pseudopotentials]
        if self.pseudo_family is not None or not missing:
            return None
        return f"no pseudopotential for {', '.join(missing)}: name its UPF file under oracle.pseudopotentials"


def _type_of(value: Any) -> str:
    return str(value.get("type", "ase")) if isinstance(value, dict) else str(getattr(value, "type", value))


OracleConfig = Annotated[
    Annotated[AseOracleConfig, Tag("ase")] | Annotated[QuantumEspressoOracleConfig, Tag("quantumespresso")],
    Discriminator(_type_of),
]
"""Settings of an oracle, told apart by `type`; `ase` if there is none."""
