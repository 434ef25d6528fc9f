"""SevenNet, alone and in batches; on a GPU if there is one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import sevenn._keys as keys
from ase import Atoms
from sevenn.atom_graph_data import AtomGraphData
from sevenn.calculator import SevenNetCalculator
from sevenn.train.dataload import unlabeled_atoms_to_graph
from torch_geometric.loader.dataloader import Collater

# The model gives the stress in the order xx yy zz xy yz zx.
_VOIGT = [0, 1, 2, 4, 5, 3]


class _Calculator(SevenNetCalculator):
    def label_batch(self, structures: Sequence[Atoms]) -> list[dict[str, Any]]:
        """Return energy (eV), forces (eV/Å) and stress (eV/Å^3) of periodic structures."""
        graphs = []
        for atoms in structures:
            self.set_atoms(atoms)
            graph = AtomGraphData.from_numpy_dict(unlabeled_atoms_to_graph(atoms, self.cutoff, with_shift=False))
            if self.modal:
                graph[keys.DATA_MODALITY] = self.modal
            graphs.append(graph)
        self.model.set_is_batch_data(True)
        try:
            output = self.model(Collater(graphs)(graphs).to(self.device))
        finally:
            self.model.set_is_batch_data(False)
        energies = output[keys.PRED_TOTAL_ENERGY].detach().cpu().numpy().reshape(-1)
        forces = output[keys.PRED_FORCE].detach().cpu().numpy()
        stresses = -output[keys.PRED_STRESS].detach().cpu().numpy()
        ends = np.cumsum([len(atoms) for atoms in structures])
        return [
            {
                "energy": float(energies[number]),
                "forces": forces[end - len(atoms) : end].astype(float),
                "stress": stresses[number][_VOIGT].astype(float),
            }
            for number, (atoms, end) in enumerate(zip(structures, ends, strict=True))
        ]


def make(**parameters: Any) -> Any:
    """Return a calculator with the model of a name, or of a file given by its path."""
    return _Calculator(**parameters)
