"""Plausibility checks of labels: units (eV, eV/Å, eV/Å^3; positions in Å), signs, and one method for all of them.

Each check compares quantities that must be consistent for any material: energies with the forces and stresses of
similar structures, energies per atom with each other and with those of free atoms, distances with atomic radii. A check
without sufficient data reports nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols, covalent_radii
from ase.units import Bohr, GPa, Hartree, Rydberg, kcal, kJ, mol

from .boxed_atoms import boxed_atom_issues
from .fingerprint import is_free_atom, shortest_distances
from .issues import PlausibilityIssue
from .near_pairs import NearPairs, find_near_pairs
from .repair import is_declared_free_atom
from .zero_forces import zero_force_issues

MIN_PAIRS = 5
"""Minimum number of pairs of similar structures for a comparison of their labels."""

_NOISE = 5e-4
"""Energy difference (eV/atom) below which pairs are ignored: numerical noise of the reference method."""

_ZERO = 1e-6
"""Energy difference (eV/atom) that is zero, whatever the unit of the energies."""

_MAX_CORRECTED = 0.35
"""Residual fraction of the energy differences below which a correction is accepted if the labels are inconsistent."""

_MIN_IMPROVABLE = 0.15
"""Residual fraction above which a correction is accepted if it reduces the residual by a factor of 5."""

_INCONSISTENT = 0.6
"""Residual fraction of the energy differences above which the labels are inconsistent."""

_QUANTILE = 0.2
"""Quantile of the residuals by which corrections are compared: a low one, so that the comparison works if only a quarter of
the pairs has both labels from one method."""

_SIMILAR_FACTOR = 1.2
"""Ratio of the corrections by two causes, such as two units, up to which both are named: forces predict energy differences only
to about 20 %."""

_IN_HARTREE = "the energies are in Hartree: multiply them by 27.2114"
_IN_RYDBERG = "the energies are in Rydberg: multiply them by 13.6057"
_IN_KJ_MOL = "the energies are in kJ/mol, the forces in eV/Å: multiply the energies by 0.0103643"
_IN_KCAL_MOL = "the energies are in kcal/mol, the forces in eV/Å: multiply the energies by 0.0433641"
_IN_BOHR = "positions and cells are in Bohr: multiply them by 0.529177"
_PER_ATOM = "the energies are per atom: multiply them by the number of atoms"

_Factor = Callable[[NearPairs], np.ndarray]


def _constant(value: float) -> _Factor:
    return lambda pairs: np.full(len(pairs), value)


_FORCE_FACTORS: dict[str, _Factor] = {
    "": _constant(1.0),
    "the forces have the opposite sign (gradients of the energy): negate them": _constant(-1.0),
    "the forces are in Hartree/Bohr: multiply them by 51.4221": _constant(Hartree / Bohr),
    "the forces are in Rydberg/Bohr: multiply them by 25.7110": _constant(Rydberg / Bohr),
    "the forces are gradients in Hartree/Bohr: multiply them by -51.4221": _constant(-Hartree / Bohr),
    "the forces are in eV/Bohr: multiply them by 1.8897": _constant(1.0 / Bohr),
    _IN_BOHR: _constant(Bohr),
    "the forces are in kcal/mol/Å, the energies in eV: multiply the forces by 0.0433641": _constant(kcal / mol),
    "the forces are in kJ/mol/Å, the energies in eV: multiply the forces by 0.0103643": _constant(kJ / mol),
    "the forces are in eV/nm: multiply them by 0.1": _constant(0.1),
    _IN_KJ_MOL: _constant(mol / kJ),
    _IN_KCAL_MOL: _constant(mol / kcal),
    _IN_HARTREE: _constant(1.0 / Hartree),
    _IN_RYDBERG: _constant(1.0 / Rydberg),
    _PER_ATOM: lambda pairs: 1.0 / pairs.sizes,
}
"""Factor from the work of the forces to the energy difference, by cause."""

_OPPOSITE_SIGN = "the stress has the opposite sign (that of a pressure, as VASP prints it): negate it"
_KBAR, _GPA = 0.1 * GPa, GPa
_STRESS_FACTORS: dict[str, _Factor] = {
    "": _constant(1.0),
    _OPPOSITE_SIGN: _constant(-1.0),
    "the stress is in kbar with the opposite sign, as VASP prints it: multiply it by -6.24151e-4": _constant(-_KBAR),
    "the stress is in kbar: multiply it by 6.24151e-4": _constant(_KBAR),
    "the stress is in GPa with the opposite sign: multiply it by -6.24151e-3": _constant(-_GPA),
    "the stress is in GPa: multiply it by 6.24151e-3": _constant(_GPA),
    "the stress is a virial in eV (stress times -volume): give it as 'virial'": lambda pairs: -1.0 / pairs.volumes,
    "the stress is multiplied by the volume: divide it by that": lambda pairs: 1.0 / pairs.volumes,
    "the stress is in Hartree/Bohr^3: multiply it by 183.631": _constant(Hartree / Bohr**3),
    "the stress is in Hartree/Bohr^3 with the opposite sign: multiply it by -183.631": _constant(-Hartree / Bohr**3),
    "the stress is in Rydberg/Bohr^3: multiply it by 91.8157": _constant(Rydberg / Bohr**3),
    "the stress is in Rydberg/Bohr^3 with the opposite sign: multiply it by -91.8157": _constant(-Rydberg / Bohr**3),
}
"""Factor from the work of the stress to the energy difference, by cause."""


def find_issues(structures: Sequence[Atoms]) -> list[PlausibilityIssue]:
    """Return the implausible labels of structures, an empty list if there are none.

    Takes a few seconds for 10,000 structures; large sets are sampled.

    :param structures: valid ones as :func:`~.intake.intake` returns them, energies in eV, forces (n, 3) in eV/Å, stress
        (6,) in eV/Å^3.
    """
    free = {index for index, atoms in enumerate(structures) if _is_free(atoms)}
    bound = [atoms for index, atoms in enumerate(structures) if index not in free]
    issues = _distance_issues(bound) or zero_force_issues(bound) or _pair_issues(find_near_pairs(bound), bound)
    issues += _energy_per_atom_issues(bound, mixed=any(issue.check == "mixed_energies" for issue in issues))
    if not any(cause in issue.cause for issue in issues for cause in (_IN_KJ_MOL, _IN_KCAL_MOL)):
        issues += _free_atom_issues([structures[index] for index in sorted(free)], bound)
    issues += boxed_atom_issues(bound, {structures[index].symbols[0] for index in free})
    if not any(issue.check in ("stress", "distances") for issue in issues):
        issues += _stress_volume_issues(bound)
    return list({issue.cause: issue for issue in reversed(issues)}.values())[::-1]


def _is_free(atoms: Atoms) -> bool:
    return len(atoms) == 1 and (is_declared_free_atom(atoms) or is_free_atom(atoms))


# Energies against forces and stresses of similar structures


def _pair_issues(pairs: NearPairs, structures: Sequence[Atoms]) -> list[PlausibilityIssue]:
    known = pairs.where(np.isfinite(pairs.from_stress))
    contributions = np.abs([known.energies, known.from_forces, known.from_stress]) / known.sizes
    significant = known.where(contributions.max(axis=0) > _NOISE)
    unstrained = significant.where(significant.from_stress == 0.0)
    strained = significant.where(significant.from_stress != 0.0)
    causes = ("", "")
    if len(unstrained) >= MIN_PAIRS:
        causes = _best_causes(unstrained, causes, [(cause, "") for cause in _FORCE_FACTORS])
    if len(strained) >= MIN_PAIRS:
        force_causes = [causes[0]] if len(unstrained) >= MIN_PAIRS else list(_FORCE_FACTORS)
        candidates = [(force, stress) for force in force_causes for stress in _STRESS_FACTORS]
        causes = _best_causes(strained, causes, [*candidates, *_ENERGY_CAUSE_PAIRS])
    if any(causes) and _residual_fraction(significant, *causes, 0.75) < _INCONSISTENT:
        return _correction_issues(*causes, significant)
    # Energies of two methods make correct forces look wrong, but not the reverse.
    mixed = _offset_issues(pairs, "", "", structures)
    if mixed or not any(causes):
        return mixed
    return [*_correction_issues(*causes, significant), *_offset_issues(pairs, *causes, structures)]


_ENERGY_CAUSES = (_IN_HARTREE, _IN_RYDBERG, _IN_KJ_MOL, _IN_KCAL_MOL, _PER_ATOM)
_ENERGY_CAUSE_PAIRS = [(cause, cause) for cause in _ENERGY_CAUSES]
"""Causes in the energies, which change the factors of forces and stress alike."""


def _residuals(pairs: NearPairs, force_cause: str, stress_cause: str) -> np.ndarray:
    """Return the residual energy differences (p,) in eV/atom after correction of two causes."""
    by_forces = _FORCE_FACTORS[force_cause](pairs) * pairs.from_forces
    factor = _STRESS_FACTORS[stress_cause] if stress_cause in _STRESS_FACTORS else _FORCE_FACTORS[stress_cause]
    by_stress = factor(pairs) * np.nan_to_num(pairs.from_stress)
    return np.asarray((pairs.energies - by_forces - by_stress) / pairs.sizes)


def _residual_fraction(pairs: NearPairs, force_cause: str, stress_cause: str, quantile: float = _QUANTILE) -> float:
    residual = np.quantile(np.abs(_residuals(pairs, force_cause, stress_cause)), quantile)
    return float(residual / max(np.quantile(np.abs(pairs.energies / pairs.sizes), quantile), 1e-9))


def _best_causes(pairs: NearPairs, known: tuple[str, str], candidates: Iterable[tuple[str, str]]) -> tuple[str, str]:
    """Return the causes with a much smaller residual than the known ones, else the known ones."""
    if np.quantile(np.abs(pairs.energies / pairs.sizes), _QUANTILE) < _ZERO:
        return known
    before = _residual_fraction(pairs, *known)
    residuals = {causes: _residual_fraction(pairs, *causes) for causes in candidates}
    best = min(residuals.values())
    inconsistent = before > _INCONSISTENT and best < min(_MAX_CORRECTED, 0.5 * before)
    if not inconsistent and not (before > _MIN_IMPROVABLE and best < 0.2 * before):
        return known
    # Fewer causes with nearly the same residual are more likely.
    return min(
        (causes for causes, value in residuals.items() if value <= 2.0 * best + 0.05),
        key=lambda causes: (
            len({cause for cause in causes if cause}),
            _residual_fraction(pairs, causes[0], causes[1], 0.5),
        ),
    )


def _correction_issues(force_cause: str, stress_cause: str, pairs: NearPairs) -> list[PlausibilityIssue]:
    before, after = (100.0 * _residual_fraction(pairs, *causes) for causes in (("", ""), (force_cause, stress_cause)))
    numbers = f"in {len(pairs)} pairs of similar structures, by {before:.3g} % of the energy difference"
    issues = []
    for check, label, cause in (("forces", "forces", force_cause), ("stress", "stresses", stress_cause)):
        if not cause or (check == "stress" and cause == force_cause):
            continue
        message = f"energies and {label} contradict each other ({numbers}; by {after:.2g} % after the correction below)"
        if check == "forces":
            issues.append(PlausibilityIssue("forces", message, ", or ".join([cause, *_similar_causes(cause, pairs)])))
        else:
            issues.append(PlausibilityIssue("stress", message, cause))
    return issues


def _similar_causes(cause: str, pairs: NearPairs) -> list[str]:
    """Return the other causes whose factor is so similar to that of a cause of wrong forces that they are possible, too."""
    unstrained = pairs.where(pairs.from_stress == 0.0)
    compared = unstrained if len(unstrained) >= MIN_PAIRS else pairs
    factors = _FORCE_FACTORS[cause](compared)
    found = []
    for other, factor in _FORCE_FACTORS.items():
        ratios = factor(compared) / factors
        similar = 1.0 / _SIMILAR_FACTOR < np.median(ratios) < _SIMILAR_FACTOR and other not in ("", cause)
        if similar and (compared is pairs or _residual_fraction(compared, other, "") < _MAX_CORRECTED):
            found.append(other)
    return found


# Energies of two methods in one dataset

_MIN_OFFSET = 0.03
"""Residual (eV/atom) between similar structures that indicates two methods."""

_MAX_RESIDUAL_PER_SPREAD = 0.5
"""A residual below this fraction of `prediction_spreads` (half the difference between the energy differences that the labels of
the first and of the second structure predict) proves nothing; correct labels reach 0.3."""

_MIN_OFFSET_PAIRS, _MIN_OFFSET_FRACTION = 3, 0.02
"""Minimum number of pairs with a residual above these limits, and their minimum fraction of all pairs."""


def _offset_issues(
    pairs: NearPairs, force_cause: str, stress_cause: str, structures: Sequence[Atoms]
) -> list[PlausibilityIssue]:
    """Return an issue if some pairs have large residuals, and these are all about the same energy offset."""
    if len(pairs) < MIN_PAIRS:
        return []
    residuals = _residuals(pairs, force_cause, stress_cause)
    typical = float(np.quantile(np.abs(residuals), _QUANTILE))
    work = np.abs(pairs.energies / pairs.sizes - residuals)
    # Far from equilibrium, forces predict energy differences less accurately.
    uncertain = np.maximum(2.0 * work, _MAX_RESIDUAL_PER_SPREAD * pairs.prediction_spreads / pairs.sizes)
    offset = np.abs(residuals) > np.maximum(max(_MIN_OFFSET, 8.0 * typical), uncertain)
    if np.count_nonzero(offset) < max(_MIN_OFFSET_PAIRS, _MIN_OFFSET_FRACTION * len(pairs)):
        return []
    offsets = np.abs(residuals[offset])
    median = float(np.median(offsets))
    if np.quantile(offsets, 0.75) - np.quantile(offsets, 0.25) > 0.2 * median:
        return []
    first, second = (
        np.array([float(structures[index].calc.results["energy"]) for index in indices])
        for indices in (pairs.first[offset], pairs.second[offset])
    )
    formula = structures[int(pairs.first[offset][0])].get_chemical_formula()
    message = (
        f"{np.count_nonzero(offset)} of {len(pairs)} pairs of similar structures differ in energy by about "
        f"{median:.3g} eV/atom more than their forces predict, e.g. {formula}: "
        f"{first[0] / pairs.sizes[offset][0]:.6g} and {second[0] / pairs.sizes[offset][0]:.6g} eV/atom"
    )
    return [PlausibilityIssue("mixed_energies", message, _cause_of_ratio(first, second))]


def _cause_of_ratio(first: np.ndarray, second: np.ndarray) -> str:
    sizes = np.sort(np.abs(np.stack([first, second])), axis=0)
    ratios = sizes[1] / np.maximum(sizes[0], 1e-12)
    ratio = float(np.median(ratios))
    for unit, name in ((Hartree, "Hartree"), (Rydberg, "Rydberg"), (mol / kcal, "kcal/mol"), (mol / kJ, "kJ/mol")):
        if abs(ratio / unit - 1.0) < 0.05 and np.ptp(np.quantile(ratios, [0.25, 0.75])) < 0.2 * ratio:
            return f"some energies are in {name}, some in eV"
    return (
        "energies of two methods, settings or zeros (total and atomization energies) in one dataset: keep one of them"
    )


_CLUSTER_GAP = 1.5
"""Gap (eV/atom) between two groups of energies of condensed matter of one composition that geometry cannot cause."""


def _energy_per_atom_issues(structures: Sequence[Atoms], *, mixed: bool) -> list[PlausibilityIssue]:
    """Return an issue if energies of condensed matter of one composition are not extensive, or form two groups."""
    groups: dict[str, list[int]] = defaultdict(list)
    for index, atoms in enumerate(structures):
        if atoms.pbc.all():
            groups[atoms.get_chemical_formula(empirical=True)].append(index)
    issues: list[PlausibilityIssue] = []
    for formula, members in groups.items():
        sizes = np.array([len(structures[index]) for index in members])
        energies = np.array([float(structures[index].calc.results["energy"]) for index in members])
        volumes = np.array([structures[index].get_volume() for index in members]) / sizes
        issue = _extensivity_issue(formula, sizes, energies)
        if issue is None and not mixed:
            issue = _energy_gap_issue(formula, energies / sizes, volumes)
        if issue is not None:
            issues.append(issue)
    return issues[:1]


def _extensivity_issue(formula: str, sizes: np.ndarray, energies: np.ndarray) -> PlausibilityIssue | None:
    small, large = sizes <= np.quantile(sizes, 0.2), sizes >= np.quantile(sizes, 0.8)
    n_small, n_large = float(np.median(sizes[small])), float(np.median(sizes[large]))
    e_small, e_large = float(np.median(energies[small])), float(np.median(energies[large]))
    spread = float(np.ptp(np.quantile(energies, [0.1, 0.9])))
    if n_large < 2.0 * n_small or len(sizes) < 4 or abs(e_small) < 0.5 or spread > 0.3 * abs(e_small):
        return None
    if not 0.7 < e_large / e_small < 1.3 or abs(e_large / e_small - n_large / n_small) < 0.5:
        return None
    message = f"{formula}: {e_small:.5g} eV for {n_small:.0f} atoms, but {e_large:.5g} eV for {n_large:.0f}"
    return PlausibilityIssue("energy_per_atom", message, _PER_ATOM)


def _energy_gap_issue(formula: str, energies: np.ndarray, volumes: np.ndarray) -> PlausibilityIssue | None:
    """Compare energies per atom at volumes within 25 % of the median, which excludes free surfaces."""
    typical = np.abs(volumes / np.median(volumes) - 1.0) < 0.25
    energies = np.sort(energies[typical])
    min_size = max(3, int(0.05 * len(energies)))
    if len(energies) < 2 * min_size:
        return None
    gaps = np.diff(energies)
    gap_index = min_size - 1 + int(np.argmax(gaps[min_size - 1 : len(gaps) - min_size + 1]))
    low, high = energies[: gap_index + 1], energies[gap_index + 1 :]
    spread = max(float(np.ptp(low)), float(np.ptp(high)))
    if gaps[gap_index] < _CLUSTER_GAP or gaps[gap_index] < 2.0 * spread:
        return None
    message = (
        f"{formula}: the energies of {len(low)} structures are about {np.median(low):.5g} eV/atom, those of "
        f"{len(high)} at similar volumes about {np.median(high):.5g} eV/atom"
    )
    return PlausibilityIssue(
        "mixed_energies", message, _cause_of_ratio(np.array([np.median(low)]), np.array([np.median(high)]))
    )


# Free atoms

_MAX_COHESIVE_ENERGY = 15.0
"""Upper limit (eV/atom) of cohesive energies: tungsten has 8.9."""


_OTHER_METHOD = (
    "isolated atoms were computed by another method or with another zero of energy than the other structures"
)


def _free_atom_issues(free: Sequence[Atoms], bound: Sequence[Atoms]) -> list[PlausibilityIssue]:
    if not free or not bound:
        return []
    energy_of: dict[str, float] = {}
    for atoms in free:
        symbol, energy = atoms.get_chemical_symbols()[0], float(atoms.calc.results["energy"])
        energy_of[symbol] = min(energy, energy_of.get(symbol, energy))
    elements = sorted({symbol for atoms in bound for symbol in set(atoms.get_chemical_symbols())})
    missing = [element for element in elements if element not in energy_of]
    issues = []
    if missing and set(elements) & set(energy_of):
        issues.append(
            PlausibilityIssue(
                "free_atoms",
                f"there are isolated atoms of {', '.join(sorted(energy_of))}, but none of {', '.join(missing)}",
                "they are missing: without an isolated atom of every element, free-atom energies are fitted instead",
            )
        )
    issues += _cohesive_energy_issues(
        energy_of, [atoms for atoms in bound if set(atoms.get_chemical_symbols()) <= set(energy_of)]
    )
    return issues


def _cohesive_energy_issues(energy_of: Mapping[str, float], bound: Sequence[Atoms]) -> list[PlausibilityIssue]:
    if len(bound) < 3:
        return []
    free = np.array([sum(energy_of[symbol] for symbol in atoms.symbols) / len(atoms) for atoms in bound])
    totals = np.array([float(atoms.calc.results["energy"]) / len(atoms) for atoms in bound])
    cohesive = free - totals
    listed = ", ".join(f"{symbol} {energy:.6g}" for symbol, energy in sorted(energy_of.items()))
    if np.median(cohesive) > _MAX_COHESIVE_ENERGY:
        message = f"isolated atoms ({listed} eV) lie {np.median(cohesive):.4g} eV/atom above the median structure"
        if all(abs(energy) < 1e-6 for energy in energy_of.values()):
            cause = "isolated atoms have the energy 0, but structures total energies: compute the atoms, or remove them"
        else:
            cause = _cause_of_atoms(free, totals)
            if cause == _OTHER_METHOD and np.median(cohesive) < _MAX_COHESIVE_ENERGY * mol / kJ:
                cause += ", or all energies are in kJ/mol or kcal/mol instead of eV"
        return [PlausibilityIssue("free_atoms", message, cause)]
    if np.max(cohesive) < -0.05:
        message = f"isolated atoms ({listed} eV) lie {-np.max(cohesive):.4g} eV/atom below all other structures"
        return [PlausibilityIssue("free_atoms", message, _cause_of_atoms(free, totals))]
    return []


def _cause_of_atoms(free: np.ndarray, totals: np.ndarray) -> str:
    cause = _cause_of_ratio(free, totals)
    if cause.startswith("some energies"):
        return cause
    return _OTHER_METHOD


# Distances

_SAMPLE = 200
"""Maximum number of structures whose distances are compared."""

_REACH = 6.0
"""Distance (Å) within which neighbours are searched."""

_LARGE_RATIO, _LARGE_RATIO_QUARTILE, _SMALL_RATIO = 1.5, 1.3, 0.62
"""Ratios of the shortest distance to the sum of covalent radii: the median and the lower quartile above which distances are
implausibly large, and the median below which they are implausibly small."""

_CLOSED_SHELL = frozenset({"He", "Ne", "Ar", "Kr", "Xe", "Rn"})
"""Elements that are left out: their atoms are much farther apart than the sum of their covalent radii."""


def _distance_issues(structures: Sequence[Atoms]) -> list[PlausibilityIssue]:
    """Compare the shortest distances with the sums of covalent radii: the ratio is about 1 in any material."""
    with_neighbours = [atoms for atoms in structures if len(atoms) > 1 or atoms.pbc.all()]
    with_neighbours = [atoms for atoms in with_neighbours if not _CLOSED_SHELL & set(atoms.get_chemical_symbols())]
    step = max(1, -(-len(with_neighbours) // _SAMPLE))
    ratios = sorted(ratio for atoms in with_neighbours[::step] if (ratio := _shortest_distance(atoms)) is not None)
    if len(ratios) < 3:
        return []
    median, length, pair = ratios[len(ratios) // 2]
    message = (
        f"the shortest distance of the median structure ({pair}) is {length:.3g} Å, {median:.2g} times the sum of the "
        "covalent radii"
    )
    if median > _LARGE_RATIO and ratios[len(ratios) // 4][0] > _LARGE_RATIO_QUARTILE:
        return [PlausibilityIssue("distances", message, _IN_BOHR)]
    if median < _SMALL_RATIO:
        cause = "positions and cells are not in Å: converted from Bohr twice, or in nm, or fractions of the cell"
        return [PlausibilityIssue("distances", message, cause)]
    return []


def _shortest_distance(atoms: Atoms) -> tuple[float, float, str] | None:
    """Return the least ratio of distance to sum of covalent radii, distance (Å) and pair; None without pairs."""
    return min(
        (
            (
                length / (covalent_radii[first] + covalent_radii[second]),
                length,
                f"{chemical_symbols[first]}-{chemical_symbols[second]}",
            )
            for (first, second), length in shortest_distances(atoms, _REACH).items()
        ),
        default=None,
    )


# The stress as a function of the volume, if the pairs give no result

_MAX_STRESS = 1.5
"""Upper limit (eV/Å^3) of the median of the largest stress component: 240 GPa."""

_MIN_VOLUMES, _MIN_VOLUME_SPREAD, _VOLUME_RANGE = 8, 0.02, 0.2
"""Minimum number of structures of one composition; minimum standard deviation of their volumes per atom, relative to the mean;
and largest deviation from the median volume, relative to it."""

_MAX_CORRELATION = -0.7
"""Rank correlation of stress and volume below which the stress decreases with the volume, as with the opposite sign."""


def _ranks(values: np.ndarray) -> np.ndarray:
    """Return the ranks of values; equal values share their mean rank."""
    _, indices, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2.0)[indices]


def _rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Return Spearman's rank correlation coefficient of two arrays of one length.

    It is written here since the import of `scipy.stats` would take a second in each worker of the daemon.
    """
    return float(np.corrcoef(_ranks(first), _ranks(second))[0, 1])


def _stress_volume_issues(structures: Sequence[Atoms]) -> list[PlausibilityIssue]:
    """Return an issue if the stress is too large for any material, or decreases with the volume."""
    with_stress = [atoms for atoms in structures if atoms.pbc.all() and atoms.calc.results.get("stress") is not None]
    if len(with_stress) < MIN_PAIRS:
        return []
    stresses = np.array([atoms.calc.results["stress"] for atoms in with_stress], dtype=float)
    median = float(np.median(np.abs(stresses).max(axis=1)))
    if median > _MAX_STRESS:
        message = f"the median of the largest stress component is {median:.3g} eV/Å^3 ({median / GPa:.3g} GPa)"
        cause = "the stress is in kbar or GPa, or is a virial in eV: convert it to eV/Å^3"
        return [PlausibilityIssue("stress", message, cause)]
    tension = stresses[:, :3].mean(axis=1)
    groups: dict[str, list[int]] = defaultdict(list)
    for index, atoms in enumerate(with_stress):
        groups[atoms.get_chemical_formula(empirical=True)].append(index)
    for formula, members in groups.items():
        volumes = np.array([with_stress[index].get_volume() / len(with_stress[index]) for index in members])
        typical = np.abs(volumes / np.median(volumes) - 1.0) < _VOLUME_RANGE
        volumes, tensions = volumes[typical], tension[members][typical]
        if (
            len(volumes) < _MIN_VOLUMES
            or volumes.std() < _MIN_VOLUME_SPREAD * volumes.mean()
            or not tensions.std() > 0.0
        ):
            continue
        correlation = _rank_correlation(volumes, tensions)
        if correlation < _MAX_CORRELATION:
            message = (
                f"{formula}: the stress of {len(volumes)} structures decreases with their volume (rank correlation "
                f"{correlation:.2f}), which would be mechanically unstable"
            )
            return [PlausibilityIssue("stress", message, _OPPOSITE_SIGN)]
    return []


def issues_report(issues: Iterable[PlausibilityIssue]) -> list[dict[str, Any]]:
    """Return issues, ready for JSON."""
    return [issue.as_dict() for issue in issues]
