"""Settings of the oracles."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from ase.calculators.calculator import names as ase_names
from pydantic import Field, field_validator, model_validator

from ..errors import shown
from ..pw_protocols import pw_protocol
from ..recipes import LEVELS, Kind, Level, recipe_names
from .base import ChemicalSymbol, PositiveFloat, PositiveInt, StrictSettings, plain

EMT_ELEMENTS = frozenset({"H", "C", "N", "O", "Al", "Ni", "Cu", "Pd", "Ag", "Pt", "Au"})
"""Elements of ASE's effective medium theory."""

MAGNETIC_ELEMENTS = frozenset({"Cr", "Mn", "Fe", "Co", "Ni"})
"""Elements whose crystals are computed with collinear spin by default."""

KPOINTS_KEYWORD = "kpts"
"""Default keyword argument of a calculator for the mesh of k-points."""

STRUCTURES_PER_JOB = 100
"""Default number of structures that one job labels."""

_IMPORT_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*[.:][A-Za-z_]\w*")


class OracleBase(StrictSettings):
    """Settings of every oracle."""

    type: str
    """Kind of oracle."""

    reuse: bool = True
    """Reuse labels that this profile already holds for the same structure and the same method."""

    identity: str | None = Field(default=None, min_length=1, max_length=200)
    """Name that you give to the method: labels are then reused only under the same name. Set it if a warning says that the
    method cannot be identified, and change it after a change of the method that cannot be detected."""

    max_concurrent_jobs: PositiveInt = 8
    """Maximum number of queued and running jobs of the oracle."""

    max_failed_fraction: float = Field(default=0.1, ge=0.0, le=1.0)
    """A run, also the start of active learning, fails if a larger fraction of the structures has failed labels; the other
    labels are kept. Rounds of active learning and validations use the labels that exist."""

    @property
    def title(self) -> str:
        """Name of the method for messages."""
        return self.type

    def unsupported(self, elements: Collection[str]) -> str | None:
        """Return a message if the method does not support some of the elements, else None."""
        return None


def ase_oracle(calculator: str) -> dict[str, Any]:
    """Return the section `oracle` of a config for an ASE calculator or a recipe.

    :param calculator: its name, or the import path of a calculator.
    """
    return {"type": "ase", "calculator": calculator}


class AseOracleConfig(OracleBase):
    """Any ASE calculator, run in batches by the portable program `label_structures`."""

    type: Literal["ase"] = "ase"
    """Kind of oracle: `ase` for any ASE calculator, `quantumespresso` for pw.x through aiida-quantumespresso."""

    calculator: str = "emt"
    """Name of a recipe (abinit, aims, cp2k, gpaw, orca, psi4, vasp; foundation models: chgnet, mace_mp, mattersim, orb,
    sevennet), which has defaults for all settings; of another ASE calculator (emt, lj, eam, ...); or import path of a
    calculator class or factory (`package.module:Class`). The jobs import and run its code."""

    level: Level | None = None
    """Accuracy of a recipe that has levels: `fast`, `balanced` or `stringent`. It sets those of cutoff, k-points and smearing
    that you do not set. If empty, `balanced`."""

    parameters: dict[str, Any] = Field(default_factory=dict)
    """Keyword arguments of the calculator, in its units. They have precedence over those of a recipe; an empty value removes
    the argument that the recipe sets."""

    identity_files: list[str] = Field(default_factory=list)
    """Further files or folders, on the computer of the jobs, that the calculator reads: their content is part of the identity
    of the labels. Files that `parameters` name by absolute path, and those in the calculator's data folders, need not
    be listed."""

    parameters_by_kind: dict[Kind, dict[str, Any]] = Field(default_factory=dict)
    """Keyword arguments for one kind of structure, in addition to `parameters`: `bulk` is periodic in all directions, `slab` in
    some, `cluster` in none, and `atom` is an isolated atom. A direction with vacuum does not count as periodic."""

    kpoints_distance: float | None = Field(default=None, gt=0.0, le=2.0)
    """Largest distance between k-points, in 1/Å (with the factor 2π), along periodic directions without vacuum: each
    structure gets the mesh as the keyword argument `kpoints_keyword`. If empty, that of the recipe; without a recipe,
    `parameters` must set the k-points."""

    kpoints_keyword: str | None = Field(default=None, pattern=r"^[A-Za-z_]\w*$")
    """Keyword argument of the calculator for the mesh of k-points. If empty, that of the recipe, or `kpts`."""

    vacuum: float | None = Field(default=None, ge=2.0, le=50.0)
    """Vacuum, in Å, on each side of a structure along directions in which it is not periodic. The structure is then
    computed in a periodic cell, which plane-wave codes and some foundation models need. If empty, that of the recipe; without
    a recipe, the calculator gets the structure unchanged."""

    magnetic_moments: dict[ChemicalSymbol, Annotated[float, Field(ge=-20.0, le=20.0)]] = Field(default_factory=dict)
    """Initial magnetic moment of the atoms of an element, in Bohr magnetons."""

    command: str | None = Field(default=None, min_length=1, max_length=2000)
    """Command, without `mpirun`, that starts the external code of a calculator on the computer of the jobs, such as
    `vasp_std` or `cp2k_shell.psmp`. If empty, that of the recipe, or the command in ASE's configuration on that computer."""

    processes: PositiveInt = 1
    """MPI processes of the code; with more than 1, the `mpirun` of the computer starts the code."""

    withmpi: bool | None = None
    """Whether the `mpirun` of the computer starts the code; if empty, only with more than one process."""

    threads: PositiveInt | None = None
    """OpenMP threads of each process; if empty, the default of the computer."""

    structures_per_job: PositiveInt | None = None
    """Structures labelled by one job: about 100 for a cheap calculator, 1 for an expensive one. If empty, that of the recipe,
    or 100."""

    batch_size: PositiveInt | None = None
    """Structures that a foundation model computes at the same time, if the model can do so (chgnet, sevennet). Larger batches
    need more memory. If empty, that of the recipe."""

    seconds_per_structure: PositiveFloat | None = None
    """Time limit for one structure, in seconds. A structure that takes longer has a failed label, and the job continues with
    the next structure. No limit if empty."""

    max_attempts: PositiveInt = 3
    """Maximum number of submissions of a structure whose jobs are killed before its label is computed."""

    @field_validator("parameters", "parameters_by_kind", mode="before")
    @classmethod
    def _plain_parameters(cls, value: Any) -> Any:
        return plain(value) if isinstance(value, dict) else value

    @field_validator("calculator")
    @classmethod
    def _known_or_importable(cls, value: str) -> str:
        if value in ase_names or _IMPORT_PATH.fullmatch(value) or value in recipe_names():
            return value
        raise ValueError(
            f"{shown(value)} is neither a recipe ({', '.join(recipe_names())}), nor another of ASE's calculators "
            f"({', '.join(sorted(ase_names))}), nor an import path such as 'package.module:Class'"
        )

    @property
    def title(self) -> str:
        """Name of the calculator."""
        return self.calculator

    def method(self, identity: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the identity of the labels: everything that changes an energy, and nothing else.

        :param identity: identity of the code and of the files that `parameters` do not contain. If it is None, the identity
            has the form that version 0.1.0 stored.
        """
        # Settings that are not set are left out: labels that were computed before they existed have the same identity.
        given = {"parameters_by_kind", "kpoints_distance", "vacuum", "magnetic_moments"}
        settings = {name: value for name, value in self.model_dump(mode="json", include=given).items() if value}
        if "kpoints_distance" in settings:
            settings["kpoints_keyword"] = self.kpoints_keyword or KPOINTS_KEYWORD
        method = {"type": self.type, "calculator": self.calculator, "parameters": self.parameters, **settings}
        return method if identity is None else {**method, "identity": dict(identity)}

    def unsupported(self, elements: Collection[str]) -> str | None:
        """Return a message with the elements that EMT does not support; other calculators are not checked before they run."""
        unknown = [element for element in elements if element not in EMT_ELEMENTS]
        if self.calculator != "emt" or not unknown:
            return None
        return (
            f"effective medium theory does not support {', '.join(unknown)} (only {', '.join(sorted(EMT_ELEMENTS))}); choose "
            "another oracle.calculator: one of ASE's or an import path"
        )


class QuantumEspressoOracleConfig(OracleBase):
    """Density functional theory by Quantum ESPRESSO's pw.x, one AiiDA job for each structure.

    It needs `pip install 'aiida-mlip-autopipec[qe]'`. Clusters are computed in a box with vacuum, at the gamma point.
    """

    type: Literal["quantumespresso"] = "quantumespresso"
    """Kind of oracle: `ase` for any ASE calculator, `quantumespresso` for pw.x through aiida-quantumespresso."""

    code: str = "pw@localhost"
    """Label of the AiiDA code of pw.x (`verdi code list`). `pw@localhost` is created if pw.x is on the PATH."""

    level: Level | None = None
    """Accuracy: `fast`, `balanced` or `stringent` set pseudo_family, kpoints_distance, smearing, degauss and convergence as the
    protocols of aiida-quantumespresso do, unless they are given. If empty, the defaults of these settings."""

    pseudo_family: str | None = None
    """A family of pseudopotentials installed by `aiida-pseudo install`, e.g. SSSP/1.3/PBEsol/efficiency."""

    pseudopotentials: dict[ChemicalSymbol, Path] = Field(default_factory=dict)
    """Instead of a family: the UPF file of each element."""

    ecutwfc: PositiveFloat | None = None
    """Cutoff of the wave functions, in Ry; if empty, that recommended by the family."""

    ecutrho: PositiveFloat | None = None
    """Cutoff of the density, in Ry; if empty, its ratio to `ecutwfc` is that of the cutoffs recommended by the family, or,
    without a recommendation, 4, or 8 if a pseudopotential is ultrasoft or PAW."""

    kpoints_distance: float = Field(default=0.15, gt=0.0, le=2.0)
    """Largest distance between k-points, in 1/Å (with the factor 2π), along periodic directions without vacuum."""

    smearing: Literal["cold", "gaussian", "methfessel-paxton", "fermi-dirac"] = "cold"
    """Smearing of the occupations. The energy labels are free energies; the forces are their negative
    derivatives."""

    degauss: PositiveFloat = 0.02
    """Width of the smearing, in Ry."""

    spin: Literal["auto", "none", "all"] = "auto"
    """Which structures are computed with collinear spin: none, all, or (`auto`) isolated atoms and clusters, which have open
    shells, and structures that contain Cr, Mn, Fe, Co or Ni."""

    starting_magnetization: dict[ChemicalSymbol, Annotated[float, Field(ge=-1.0, le=1.0)]] = Field(default_factory=dict)
    """Starting magnetization of an element in calculations with spin, as a fraction of its valence electrons, -1
    to 1; by default 0.5."""

    vacuum: float = Field(default=5.0, ge=2.0, le=50.0)
    """Vacuum, in Å, on each side of a structure along directions in which it is not periodic."""

    convergence: PositiveFloat = 1e-10
    """Convergence threshold of the self-consistent cycle, in Ry per atom."""

    overrides: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Other parameters of pw.x, by namelist: `{SYSTEM: {nosym: true}, ELECTRONS: {mixing_beta: 0.3}}`."""

    max_iterations: PositiveInt = 3
    """Maximum number of pw.x runs for one structure: if one does not converge, pw.x is run again with other mixing settings."""

    @field_validator("overrides", mode="before")
    @classmethod
    def _plain_overrides(cls, value: Any) -> Any:
        return plain(value) if isinstance(value, dict) else value

    @field_validator("overrides")
    @classmethod
    def _known_namelists(cls, value: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        upper = {name.upper(): content for name, content in value.items()}
        unknown = sorted(upper.keys() - {"CONTROL", "SYSTEM", "ELECTRONS"})
        if unknown:
            raise ValueError(f"unknown namelist {', '.join(unknown)}; allowed: CONTROL, SYSTEM, ELECTRONS")
        reserved = {"calculation", "prefix", "outdir", "pseudo_dir", "ibrav", "nat", "ntyp", "ecutwfc", "ecutrho"}
        clash = sorted(reserved & {key.lower() for content in upper.values() for key in content})
        if clash:
            raise ValueError(
                f"{', '.join(clash)} cannot be overridden here (the cutoffs are the settings ecutwfc and ecutrho)"
            )
        return upper

    @model_validator(mode="before")
    @classmethod
    def _settings_of_the_level(cls, data: Any) -> Any:
        """Set the settings that the level determines, so that the config stored with a run contains their values."""
        if not isinstance(data, dict) or data.get("level") not in LEVELS:
            return data
        settings = pw_protocol(data["level"])
        if data.get("pseudopotentials"):
            del settings["pseudo_family"]
        return {**settings, **data}

    @model_validator(mode="after")
    def _pseudopotentials_from_one_place(self) -> QuantumEspressoOracleConfig:
        if (self.pseudo_family is None) == (not self.pseudopotentials):
            raise ValueError(
                "give either pseudo_family (see `aiida-pseudo install --help`) or pseudopotentials, "
                "the UPF file of each element, or a level, whose family is used"
            )
        if self.pseudopotentials and self.ecutwfc is None:
            raise ValueError("set ecutwfc (Ry): pseudopotentials from files have no recommended cutoff")
        return self

    def method(
        self, pseudopotentials: Mapping[str, str], code: str, identity: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return the identity of the labels: everything that changes an energy, and nothing else.

        :param pseudopotentials: hash of the pseudopotential file of each element.
        :param code: label of the code.
        :param identity: of the program pw.x; without it, as version 0.1.0 stored it.
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
        settings = self.model_dump(mode="json", include=relevant)
        method = {**settings, "pseudopotentials": dict(pseudopotentials), "code": code}
        return method if identity is None else {**method, "identity": dict(identity)}

    def unsupported(self, elements: Collection[str]) -> str | None:
        """Return a message with the elements without pseudopotential file; a family is checked when the run is built."""
        missing = [element for element in elements if element not in self.pseudopotentials]
        if self.pseudo_family is not None or not missing:
            return None
        return f"no pseudopotential for {', '.join(missing)}: name its UPF file under oracle.pseudopotentials"
