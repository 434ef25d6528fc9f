"""Settings of the user's own structures."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from .base import NonNegativeFloat, StrictSettings

Role = Literal["seed", "as_is", "phase"]


class StructureSource(StrictSettings):
    """Structures to start from: a file, or a node of the profile."""

    file: Annotated[str, Field(min_length=1)] | None = None
    """File with structures: CIF, POSCAR or CONTCAR, extended XYZ, .traj, ASE database, input or output of pw.x, vasprun.xml,
    OUTCAR, or output of CP2K or FHI-aims. A relative path is relative to the folder of the config."""

    node: Annotated[str, Field(min_length=1)] | None = None
    """PK or UUID of a StructureData or a TrajectoryData, or the label of a group of them."""

    name: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    """Name of the structures in reports; by default the chemical formula."""

    weight: NonNegativeFloat = 1.0
    """Relative share of these structures in the generated variations; the selection may label another share of them."""

    role: Role = "seed"
    """`seed`: label the structures and variations of them; `as_is`: label exactly these structures; `phase`: as `seed`, and
    a crystal that the validation compares."""

    @model_validator(mode="before")
    @classmethod
    def _identifier_as_text(cls, data: object) -> object:
        if isinstance(data, dict) and isinstance(data.get("node"), int) and not isinstance(data["node"], bool):
            return {**data, "node": str(data["node"])}
        return data

    @model_validator(mode="after")
    def _one_source(self) -> StructureSource:
        if (self.file is None) == (self.node is None):
            raise ValueError("give either 'file' or 'node'")
        return self

    @property
    def title(self) -> str:
        """The file or the node, for messages."""
        return str(self.file) if self.file is not None else f"node {self.node}"
