"""Groups of kinds of structure, few enough for distinguishable colours."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

COLOURS = ("#332288", "#cc6677", "#117733", "#44aa99", "#aa4499", "#999933", "#88ccee", "#882255", "#ddaa33")
"""Colours that are distinguishable with colour blindness (the scheme `muted` of P. Tol)."""

OTHERS, GREY = "others", "#777777"


@dataclass(frozen=True)
class Group:
    """Kinds that share a colour, as indices."""

    name: str
    colour: str
    kinds: tuple[int, ...]


def group_kinds(names: Sequence[str], counts: Sequence[int]) -> list[Group]:
    """Return one group for each kind or, with many kinds, for each last word of their names (`fcc_hot` and `bcc_hot`).

    If there are still too many groups, the most frequent ones keep a colour and the others share one.

    :param counts: number of structures of each kind.
    """
    words = list(names) if len(names) <= len(COLOURS) else [re.split("_|: ", name)[-1] for name in names]
    sizes: Counter[str] = Counter()
    for word, count in zip(words, counts, strict=True):
        sizes[word] += count
    named = [word for word, _ in sizes.most_common(len(COLOURS))]
    groups = [
        Group(word, colour, tuple(number for number, other in enumerate(words) if other == word))
        for word, colour in zip(named, COLOURS, strict=False)
    ]
    rest = tuple(number for number, word in enumerate(words) if word not in named)
    if not rest:
        return groups
    names_of_rest = {names[number] for number in rest}
    return [*groups, Group(names_of_rest.pop() if len(names_of_rest) == 1 else OTHERS, GREY, rest)]
