"""Toy pairs: a string of letters, and the same string from its end to its beginning."""

import random
from string import ascii_lowercase

LONGEST = 20
"""Letters of the longest string."""


def reverse_pair(seed: int, index: int, *, length: int | None = None) -> tuple[str, str]:
    """Return a random string and its reverse: a pure function of (seed, index).

    Args:
        seed: which sequence of pairs.
        index: which pair of it.
        length: letters, at least 1. None: 1 to LONGEST, each as often.

    Example:
        >>> reverse_pair(0, 0)
        ('ynbiqpmzjplsg', 'gslpjzmpqibny')
    """
    text = random_letters(random.Random(seed << 64 | index), length)
    return text, text[::-1]


def random_letters(chance: random.Random, length: int | None) -> str:
    """Return so many letters, each as likely; None: 1 to LONGEST of them.

    Example:
        >>> random_letters(random.Random(0), 3)
        'myn'
    """
    n = chance.randint(1, LONGEST) if length is None else length
    return "".join(chance.choice(ascii_lowercase) for _ in range(n))
