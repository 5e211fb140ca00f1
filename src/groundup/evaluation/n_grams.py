"""Runs of n units, and how many of them two texts share: what BLEU, chrF, ROUGE and diversity count."""

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import TypeVar

Unit = TypeVar("Unit", bound=Hashable)


def n_grams(units: Sequence[Unit], n: int) -> Iterator[tuple[Unit, ...]]:
    """Return an iterator over every run of n units; none if there are fewer.

    Raises:
        ValueError: n below 1.

    Example:
        >>> list(n_grams(["to", "be", "or"], 2))
        [('to', 'be'), ('be', 'or')]
    """
    if n < 1:
        raise ValueError(f"expected n of at least 1, found {n}")
    return zip(*(units[i:] for i in range(n)), strict=False)


def clipped_matches(units: Sequence[Unit], references: Iterable[Sequence[Unit]], n: int) -> int:
    """Return how many n-grams of a text its references have, each as often as the one that has it most often.

    That is the clipped count of Papineni et al. (2002), section 2.1.

    Example:
        >>> clipped_matches("the the the".split(), ["the cat on the mat".split(), "a the".split()], 1)
        2
    """
    left: Counter[tuple[Unit, ...]] = Counter()
    for reference in references:
        found = Counter(n_grams(reference, n))
        left = left | found if left else found
    matched = 0
    for gram in n_grams(units, n):
        if left.get(gram, 0):
            left[gram] -= 1
            matched += 1
    return matched
