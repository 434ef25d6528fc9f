"""The candidate functions of a fit: those of one neighbour and those of lowest complexity of each element, with any neighbours.

pacemaker gives each combination of elements the same number of functions: with five elements, more than half of the functions
would have three or more different elements, and few would be of low order. Here all combinations compete. Functions are
generated in order of complexity, which takes less than a second, where pacemaker lists all within its limits first (half a
minute with five elements).
"""

from __future__ import annotations

import functools
import pickle
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from pyace import BBasisConfiguration, BBasisFunctionSpecification
from pyace.basisextension import sort_funcspecs_list
from pyace.multispecies_basisextension import (
    create_species_block_without_funcs,
    default_mus_ns_uni_to_rawlsLS_np_rank_filename,
    generate_blocks_specifications_dict,
    unify_mus_ns_comb,
    validate_bonds_nradmax_lmax_nradbase,
)

ONE_NEIGHBOUR_FRACTION = 1 / 3
"""Fraction of the functions up to which those of one neighbour come first: they cost little, and energies at short distances
need many of them."""

Neighbours = tuple[tuple[str, int], ...]
"""Element and radial index n, from 1, of each neighbour, in order."""

Momenta = tuple[tuple[int, ...], tuple[int, ...]]
"""Angular momenta l, and intermediate angular momenta L."""

Function = tuple[Neighbours, Momenta]


def candidate_configuration(potential: Mapping[str, Any]) -> BBasisConfiguration:
    """Return the pyace configuration, with coefficients of zero, of the functions of the `potential` section of an input.

    Each element has `functions.number_of_functions_per_element` functions, but at least one for each neighbouring element, and
    at most all within the limits of radial functions and angular momenta.
    """
    settings = generate_blocks_specifications_dict(dict(potential))
    elements = sorted(potential["elements"])
    number = max(len(elements), potential["functions"]["number_of_functions_per_element"])
    functions: dict[tuple[str, ...], list[Any]] = {elements_of_block: [] for elements_of_block in settings}
    for centre in elements:
        n_densities = settings[(centre,)]["ndensity"]
        most_first = max(len(elements), int(ONE_NEIGHBOUR_FRACTION * number))
        for neighbours, momenta in islice(_simplest(centre, elements, settings, most_first), number):
            functions[_block(centre, neighbours)].append(_function(centre, neighbours, momenta, n_densities))
    configuration = BBasisConfiguration()
    configuration.deltaSplineBins = potential["deltaSplineBins"]
    configuration.funcspecs_blocks = [
        _create_block(name, settings[name], found) for name, found in functions.items() if found
    ]
    # Both directions of a pair have the same radial functions.
    validate_bonds_nradmax_lmax_nradbase(configuration)
    configuration.validate(raise_exception=True)
    return configuration


def _create_block(name: tuple[str, ...], settings: Mapping[str, Any], functions: Sequence[Any]) -> Any:
    """Return a block of functions with no more radial functions and angular momenta than they need."""
    sizes = {
        "nradbase": max((f.ns[0] for f in functions if len(f.ns) == 1), default=0),
        "nradmax": max((max(f.ns) for f in functions if len(f.ns) > 1), default=0),
        "lmax": max(max(f.ls) for f in functions),
    }
    block = create_species_block_without_funcs(list(name), {**settings, **sizes})
    block.funcspecs = sort_funcspecs_list(list(functions), "body_order")
    return block


def _function(centre: str, neighbours: Neighbours, momenta: Momenta, n_densities: int) -> Any:
    elements, radial = zip(*neighbours, strict=True)
    return BBasisFunctionSpecification(
        elements=(centre, *elements), ns=radial, ls=momenta[0], LS=momenta[1], coeffs=[0] * n_densities
    )


def _block(centre: str, neighbours: Neighbours) -> tuple[str, ...]:
    """Return the elements of the block of a function."""
    return (centre, *sorted({element for element, _ in neighbours} - {centre}))


def _simplest(
    centre: str, elements: Sequence[str], settings: Mapping[tuple[str, ...], Any], most_first: int
) -> Iterator[Function]:
    """Yield the functions of an element in the order in which they become candidates.

    :param most_first: largest number of functions of one neighbour that come first. The others follow by complexity, of
        equal complexity those of low order first.
    """
    limits = {
        name: list(zip(of_block["nradmax_by_orders"], of_block["lmax_by_orders"], strict=True))
        for name, of_block in settings.items()
        if name[0] == centre
    }
    orders = max(map(len, limits.values()))
    most_complex = max(
        order * (1 + most_radial + most_angular)
        for of_block in limits.values()
        for order, (most_radial, most_angular) in enumerate(of_block, start=1)
    )

    def of(order: int, complexity: int) -> Iterator[Function]:
        for neighbours in _neighbours(elements, order, complexity - order):
            of_block = limits.get(_block(centre, neighbours), [])
            others, radial = zip(*neighbours, strict=True)
            if len(of_block) >= order and max(radial) <= of_block[order - 1][0]:
                for momenta in _momenta(others, radial, complexity - order - sum(radial)):
                    if max(momenta[0]) <= of_block[order - 1][1]:
                        yield neighbours, momenta

    range_of_complexity = range(2, most_complex + 1)
    of_one_neighbour = (function for complexity in range_of_complexity for function in of(1, complexity))
    first = list(islice(of_one_neighbour, most_first))
    yield from first
    for complexity in range_of_complexity:
        for order in range(1, min(orders, complexity // 2) + 1):
            # Only functions of one neighbour can be among the first.
            yield from (function for function in of(order, complexity) if order > 1 or function not in first)


def _neighbours(elements: Sequence[str], order: int, largest: int) -> Iterator[Neighbours]:
    """Yield the sets of `order` neighbours with radial indices of a sum up to `largest`; similar ones follow each other."""
    found: list[Neighbours] = []

    def extend(members: Neighbours, rest: int) -> None:
        missing = order - len(members)
        if not missing:
            found.append(members)
            return
        for element in elements:
            for n in range(1, rest - missing + 2):
                if not members or (element, n) >= members[-1]:
                    extend((*members, (element, n)), rest - n)

    extend((), largest)
    yield from sorted(found, key=lambda members: [n for _, n in members])


def _momenta(elements: tuple[str, ...], radial: tuple[int, ...], total: int) -> Sequence[Momenta]:
    """Return the momenta with this sum of l for which the functions are linearly independent."""
    return _independent(unify_mus_ns_comb(elements, radial)).get(total, ())


@functools.cache
def _independent(pattern: tuple[int, ...]) -> dict[int, list[Momenta]]:
    """Return the momenta of the independent functions, by the sum of l, for a pattern of equal neighbours.

    :param pattern: for example (0, 0, 1): the first two neighbours have the same element and n.
    """
    by_sum: dict[int, list[Momenta]] = {}
    for momenta in _table()[pattern]:
        by_sum.setdefault(sum(momenta[0]), []).append(momenta)
    return by_sum


@functools.cache
def _table() -> dict[tuple[int, ...], list[Momenta]]:
    """Return the table of independent functions that python-ace comes with and itself reads."""
    with Path(default_mus_ns_uni_to_rawlsLS_np_rank_filename).open("rb") as handle:
        return dict(pickle.load(handle))  # noqa: S301
