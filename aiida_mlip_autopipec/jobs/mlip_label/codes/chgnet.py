"""CHGNet, alone and in batches; on a GPU if there is one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.stress import full_3x3_to_voigt_6_stress
from chgnet.model.dynamics import CHGNetCalculator
from chgnet.model.model import CHGNet
from pymatgen.io.ase import AseAtomsAdaptor


class _Calculator(CHGNetCalculator):
    def label_batch(self, structures: Sequence[Atoms]) -> list[dict[str, Any]]:
        """Return energy (eV), forces (eV/Å) and stress (eV/Å^3) of periodic structures."""
        found = self.model.predict_structure(
            [AseAtomsAdaptor.get_structure(atoms) for atoms in structures], task="efs", batch_size=len(structures)
        )
        labels = []
        for atoms, result in zip(structures, found if isinstance(found, list) else [found], strict=True):
            factor = len(atoms) if self.model.is_intensive else 1
            stress = full_3x3_to_voigt_6_stress(np.asarray(result["s"], dtype=float) * self.stress_weight)
            energy = float(result["e"]) * factor
            labels.append({"energy": energy, "forces": np.asarray(result["f"], dtype=float), "stress": stress})
        return labels


def make(**parameters: Any) -> Any:
    """Return a calculator with the model of a name, or of a file given by its path."""
    parameters.setdefault("on_isolated_atoms", "ignore")
    name, device = parameters.pop("model", "0.3.0"), parameters.get("use_device")
    path = Path(name)
    model = (
        CHGNet.from_file(str(path))
        if path.is_absolute()
        else CHGNet.load(model_name=name, use_device=device, verbose=False)
    )
    return _Calculator(model, **parameters)
