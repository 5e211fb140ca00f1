"""Toy pairs: a string of letters, and its letters in the order of the alphabet."""

import random

from groundup.data.pairs_reverse import random_letters


def sort_pair(seed: int, index: int, *, length: int | None = None) -> tuple[str, str]:
    """Return a random string and its letters sorted: a pure function of (seed, index).

    Args:
        seed: which sequence of pairs.
        index: which pair of it.
        length: letters, at least 1. None: 1 to 20, each as often.

    Example:
        >>> sort_pair(0, 0)
        ('ynbiqpmzjplsg', 'bgijlmnppqsyz')
    """
    text = random_letters(random.Random(seed << 64 | index), length)
    return text, "".join(sorted(text))
