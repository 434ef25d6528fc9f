"""A sample of the structures of a large dataset, on which functions and weights are chosen.

Their choice costs as much as several fits. With more structures it hardly changes, but the coefficients gain from all of them.
"""

from __future__ import annotations

from collections.abc import Sequence

from .data import Frame, groups_in_order

SAMPLE_ATOMS = 12_000
"""Number of atoms of the sample."""

LARGE = 2
"""Smallest number of atoms in the training structures, in units of the sample, from which a sample is used. With fewer atoms,
the second design matrix would take as long as the sample saves."""

SMALL = 4
"""Structures of up to this number of atoms are all in the sample: they cost little, and dimers at short distances are
unique."""


def is_large(n_atoms: int, sample_atoms: int = SAMPLE_ATOMS) -> bool:
    """Return whether functions are chosen on a sample, for a number of atoms in the training structures."""
    return n_atoms > LARGE * sample_atoms


def sample_of(training: Sequence[Frame], atoms: int) -> Sequence[Frame]:
    """Return a reproducible sample of about a number of atoms, with the same shares of families and compositions.

    Groups are not divided. If the dataset is not large, all structures are returned.
    """
    size_of = {frame.group: len(frame.atoms) for frame in training}
    if not is_large(sum(size_of.values()), atoms):
        return training
    chosen = {group for group, size in size_of.items() if size <= SMALL}
    large = [group for group in groups_in_order(training) if group not in chosen]
    left = atoms - sum(size_of[group] for group in chosen)
    share = max(0.0, left / sum(size_of[group] for group in large)) if large else 0.0
    chosen |= {group for place, group in enumerate(large) if int((place + 1) * share) > int(place * share)}
    return [frame for frame in training if frame.group in chosen]
