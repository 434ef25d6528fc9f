"""The candidate functions, compared with the list of pacemaker."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from mlip_train.basis import Basis, FunctionKey, complexity_of
from pyace.multispecies_basisextension import create_multispecies_basis_config

ELEMENTS = ["Al", "Cu", "Ni"]
SHAPES = {
    "UNARY": {"nradmax_by_orders": [5, 3, 2], "lmax_by_orders": [0, 3, 2]},
    "BINARY": {"nradmax_by_orders": [5, 2, 2], "lmax_by_orders": [0, 2, 1]},
    "TERNARY": {"nradmax_by_orders": [5, 2, 1], "lmax_by_orders": [0, 1, 1]},
}


def potential_of(elements: list[str], number: int | None) -> dict[str, Any]:
    functions: dict[str, Any] = dict(list(SHAPES.items())[: len(elements)])
    if number is not None:
        functions["number_of_functions_per_element"] = number
    return {
        "deltaSplineBins": 0.001,
        "elements": elements,
        "embeddings": {"ALL": {"npot": "FinnisSinclair", "fs_parameters": [1, 1], "ndensity": 1}},
        "bonds": {"ALL": {"radbase": "SBessel", "radparameters": [5.25], "rcut": 5.0, "dcut": 0.01}},
        "functions": functions,
    }


def all_of_pacemaker(elements: list[str]) -> Basis:
    potential = potential_of(elements, None)
    return Basis(potential, create_multispecies_basis_config(potential))


def of_element(basis: Basis, element: int) -> list[FunctionKey]:
    return [key for key in basis.functions if key[0] == element]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_without_a_limit_the_candidates_are_all_functions_of_pacemaker(count: int) -> None:
    expected = all_of_pacemaker(ELEMENTS[:count])
    candidates = Basis(potential_of(ELEMENTS[:count], 100_000))
    assert set(candidates.functions) == set(expected.functions)
    assert len(candidates.functions) == len(expected.functions)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_each_element_has_the_functions_of_lowest_complexity(count: int) -> None:
    number = 40
    complete = all_of_pacemaker(ELEMENTS[:count])
    candidates = Basis(potential_of(ELEMENTS[:count], number))
    for element in range(count):
        chosen, every = of_element(candidates, element), of_element(complete, element)
        orders = Counter(len(key[1]) for key in chosen)
        assert len(chosen) == min(number, len(every))
        assert orders[1] >= min(5 * count, number // 3), "functions of one neighbour come first"
        most_complex = max(complexity_of(key) for key in chosen if len(key[1]) > 1)
        left = [complexity_of(key) for key in every if len(key[1]) > 1 and key not in chosen]
        assert most_complex <= min(left, default=most_complex)


def test_each_pair_of_elements_has_a_function_even_if_few_are_wanted() -> None:
    candidates = Basis(potential_of(ELEMENTS, 1))
    assert {(key[0], *key[1]) for key in candidates.functions} == {(a, b) for a in range(3) for b in range(3)}
