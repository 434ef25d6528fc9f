"""Lattice thermal conductivity from third-order force constants (phono3py)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from ase import Atoms

from ..config.schemas.properties import ConductivitySettings
from ..validation.phonons import IMAGINARY, to_ase, to_phonopy
from .crystals import evaluated, repeats
from .model import Line, NotComputableError, Panel, Plot, Property, Result, Value

_DISPLACEMENT = 0.03
"""Displacement (Å) of an atom, the default of phono3py."""

_HIGHEST = 1e6
"""Conductivity (W/m/K) above which the force constants are not meaningful; that of diamond at 100 K is about 1e4. In a cell of
2 × 2 × 2 primitive cells of copper the third-order force constants are zero by symmetry."""

_TENSOR = ("xx", "yy", "zz", "yz", "xz", "xy")


class ThermalConductivity(Property):
    """Lattice thermal conductivity by the Boltzmann equation of phonons in the relaxation time approximation.

    Togo, Chaput and Tanaka, Phys. Rev. B 91, 094306 (2015). Scattering of three phonons only, without isotopes and boundaries.
    """

    name = "thermal_conductivity"
    Settings = ConductivitySettings

    def measure(self, name: str, structures: Mapping[str, Atoms], calculator: Any) -> Result:
        """Return the mean of the diagonal and the tensor (W/m/K) at each temperature, and their curve.

        :raises NotComputableError: if phono3py is missing, the crystal is unstable, or supercells are too many or too small.
        """
        conductivity = self._conductivity(structures[name], calculator)
        temperatures = list(self.settings.temperatures)
        mean = conductivity[:, :3].mean(axis=1)
        values = []
        for temperature, average, tensor in zip(temperatures, mean, conductivity, strict=True):
            values.append(Value(f"thermal conductivity at {temperature:g} K", float(average), "W/m/K"))
            if np.ptp(tensor[:3]) > 1e-3 * average or abs(tensor[3:]).max() > 1e-3 * average:
                values.append(Value(f"tensor ({', '.join(_TENSOR)}) at {temperature:g} K", tensor, "W/m/K"))
        panel = Panel("temperature (K)", "thermal conductivity (W/m/K)", [Line(temperatures, mean, points=True)])
        return Result(self.name, name, values, [Plot("thermal conductivity", [panel])])

    def _conductivity(self, crystal: Atoms, calculator: Any) -> np.ndarray:
        """Return the conductivity (t, 6) in W/m/K at each temperature."""
        try:
            from phono3py import Phono3py
        except ImportError as error:
            raise NotComputableError(
                "needs phono3py, which comes with pip install 'aiida-mlip-autopipec[properties]'"
            ) from error
        settings = self.settings
        phono3py = Phono3py(
            to_phonopy(crystal),
            supercell_matrix=np.diag(repeats(crystal, settings.min_length)),
            phonon_supercell_matrix=np.diag(repeats(crystal, settings.harmonic_min_length)),
            primitive_matrix=np.eye(3),
        )
        phono3py.generate_displacements(distance=_DISPLACEMENT, cutoff_pair_distance=settings.pair_cutoff)
        cells = phono3py.supercells_with_displacements
        count = sum(cell is not None for cell in cells)
        if count > settings.max_supercells:
            raise NotComputableError(
                f"{count} supercells with displacements are needed, more than max_supercells = {settings.max_supercells}: set "
                "pair_cutoff (Å), or raise max_supercells"
            )
        phono3py.forces = _forces(cells, calculator)
        phono3py.phonon_forces = _forces(phono3py.phonon_supercells_with_displacements, calculator)
        phono3py.produce_fc2(symmetrize_fc2=True)
        phono3py.produce_fc3(symmetrize_fc3r=True)
        phono3py.mesh_numbers = settings.mesh
        phono3py.init_phph_interaction()
        phono3py.run_phonon_solver()
        frequencies = phono3py.get_phonon_data()[0]
        if frequencies.min() < IMAGINARY:
            raise NotComputableError(
                f"the crystal is unstable: imaginary frequencies down to {frequencies.min():.2f} THz"
            )
        phono3py.run_thermal_conductivity(temperatures=list(settings.temperatures))
        conductivity = np.asarray(phono3py.thermal_conductivity.kappa)[0]
        if not np.isfinite(conductivity).all() or conductivity.max() > _HIGHEST:
            raise NotComputableError(
                "no phonon scatters: the supercell is too small for third-order force constants; raise min_length"
            )
        return conductivity


def _forces(cells: list[Any], calculator: Any) -> np.ndarray:
    """Return the forces (c, n, 3) in eV/Å of supercells without their mean; zero for those left out by a cutoff of pairs."""
    size = max(len(cell) for cell in cells if cell is not None)
    displaced = {str(number): to_ase(cell) for number, cell in enumerate(cells) if cell is not None}
    found = evaluated(displaced, calculator)
    forces = np.zeros((len(cells), size, 3))
    for number, atoms in found.items():
        force = atoms.get_forces()
        forces[int(number)] = force - force.mean(axis=0)
    return forces
