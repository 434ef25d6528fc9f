"""Kinds of structure in groups few enough to tell their colours apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

COLOURS = ("#332288", "#cc6677", "#117733", "#44aa99", "#aa4499", "#999933", "#88ccee", "#882255", "#ddaa33")
"""Distinguishable also by the colour-blind (after P. Tol's `muted`)."""

OTHERS, GREY = "others", "#777777"


@dataclass(frozen=True)
class Group:
    """Kinds that share a colour: the numbers of the kinds."""

    name: str
    colour: str
    kinds: tuple[int, ...]


def group_kinds(names: Sequence[str], counts: Sequence[int]) -> list[Group]:
    """Return the kinds, each alone if they are few; else by the last word of their names (`fcc_hot` and `bcc_hot`).

    If these are too many as well, the most frequent ones keep a colour.

    :param counts: number of structures of each kind.
    """
    words = list(names) if len(names) <= len(COLOURS) else [name.rpartition("_")[2] for name in names]
    sizes: Counter[str] = Counter()
    for word, count in zip(words, counts, strict=True):
        sizes[word] += count
    named = [word for word, _ in sizes.most_common(len(COLOURS))]
    groups = [
        Group(word, colour, tuple(number for number, of in enumerate(words) if of == word))
        for word, colour in zip(named, COLOURS, strict=False)
    ]
    rest = tuple(number for number, word in enumerate(words) if word not in named)
    if not rest:
        return groups
    names_of_rest = {names[number] for number in rest}
    return [*groups, Group(names_of_rest.pop() if len(names_of_rest) == 1 else OTHERS, GREY, rest)]
