"""Names of the labels in a file."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator

_WRITTEN_AS = (
    "energy=NAME,forces=NAME,stress=NAME or virial=NAME, each at most once, e.g. energy=REF_energy,forces=REF_forces"
)


class LabelKeys(BaseModel):
    """Names of the labels in a file; for a label without a name here all usual names are tried."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    energy: str | None = Field(None, min_length=1, max_length=100, description="Energy, in eV.")
    forces: str | None = Field(None, min_length=1, max_length=100, description="Forces, in eV/Å.")
    stress: str | None = Field(None, min_length=1, max_length=100, description="Stress in ASE's sign, in eV/Å^3.")
    virial: str | None = Field(None, min_length=1, max_length=100, description="Virial = -volume * stress, in eV.")

    @model_validator(mode="after")
    def _one_of_stress_and_virial(self) -> LabelKeys:
        if self.stress is not None and self.virial is not None:
            raise ValueError("name either the stress or the virial, not both")
        return self

    @classmethod
    def parse(cls, text: str) -> LabelKeys:
        """Return the names in a text like ``energy=REF_energy,forces=REF_forces``.

        :raises ValueError: if the text does not have this form.
        """
        names: dict[str, str] = {}
        for part in text.split(","):
            label, equals, name = (piece.strip() for piece in part.partition("="))
            if not equals or not name or label not in cls.model_fields or label in names:
                raise ValueError(f"--keys {text!r:.200}: must be {_WRITTEN_AS}")
            names[label] = name
        if {"stress", "virial"} <= set(names):
            raise ValueError(f"--keys {text!r:.200}: name either the stress or the virial, not both")
        return cls(**names)
