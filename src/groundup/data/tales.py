"""A generated corpus of small stories whose exact entropy is known.

The stories come from the grammar in `tales_story`. Because every text has exactly one derivation, its probability, the
entropy of the corpus and the validity of a text are facts to be computed, so a model trained on tales can be held
against the best that any model could do.

Separators cost nothing: no tale begins another one, so whoever has read a tale knows that it is over, and the end token
or blank line that follows has probability 1. The entropy per tale is therefore also the entropy per tale and separator;
only the bytes of the separator, if it has any, count in bits per byte.
"""

import math
import random
from collections.abc import Iterator
from functools import cache

from groundup.data import tales_entropy
from groundup.data.tales_parser import Derivation as Derivation
from groundup.data.tales_parser import TaleError as TaleError
from groundup.data.tales_parser import parse_with
from groundup.data.tales_story import STORY


def generate(seed: int, n: int) -> Iterator[str]:
    """Yield `n` tales; tale k is a pure function of (seed, k).

    Raises:
        ValueError: if `seed` or `n` is negative.

    Example:
        >>> first, second = generate(seed=3, n=2)
        >>> is_valid(first), [first, second] == list(generate(seed=3, n=2))
        (True, True)
    """
    if seed < 0 or n < 0:
        raise ValueError(f"expected seed >= 0 and n >= 0, found seed {seed} and n {n}")
    return (STORY.draw(random.Random(seed << 64 | k))[0] for k in range(n))


def parse(text: str) -> Derivation:
    """Return the choices behind a tale.

    Raises:
        TaleError: if `text` is not a tale, with the first character at which it stops being one.

    Example:
        >>> tale = next(generate(seed=0, n=1))
        >>> name = parse(tale).values["name"]
        >>> name in tale
        True
    """
    return parse_with(STORY, text)


def is_valid(text: str) -> bool:
    """Return whether `text` is a tale.

    Example:
        >>> is_valid("Once upon a time")
        False
    """
    try:
        parse(text)
    except TaleError:
        return False
    return True


def log_probability(tale: str) -> float:
    """Return the natural logarithm of the probability with which `generate` yields `tale`.

    Raises:
        TaleError: (an InputError) if `tale` is not a tale.
    """
    return parse(tale).log_probability


@cache
def entropy_per_tale() -> float:
    """Return the exact entropy of a tale, its end included, in nats.

    No model can reach a smaller expected loss per tale.

    Example:
        >>> 45 < entropy_per_tale() / math.log(2) < 70
        True
    """
    return tales_entropy.entropy(STORY)


@cache
def expected_bytes() -> float:
    """Return the exact expected length of a tale in bytes of UTF-8, without a separator.

    Example:
        >>> 250 < expected_bytes() < 450
        True
    """
    return tales_entropy.expected_bytes(STORY)


def bits_per_byte(separator: str = "") -> float:
    r"""Return the exact entropy rate of a long file of tales: bits per tale / expected bytes per tale and separator.

    Args:
        separator: the text between tales; empty where a special token separates them, because it stands for no bytes.

    Example:
        >>> bits_per_byte("\n\n") < bits_per_byte() < 0.2
        True
    """
    return entropy_per_tale() / math.log(2) / (expected_bytes() + len(separator.encode()))
