"""How varied drawn texts are: the share of n-grams that are different, and the share that a text repeats."""

import re
from collections.abc import Iterable, Sequence

from groundup.evaluation.n_grams import n_grams

_WORD = re.compile(r"\w+|[^\w\s]")


def words(text: str) -> list[str]:
    """Return the words and punctuation marks of a text, in lower case: units that no tokenizer decides.

    Example:
        >>> words("To be, or not to be.")
        ['to', 'be', ',', 'or', 'not', 'to', 'be', '.']
    """
    return _WORD.findall(text.lower())


def distinct_n(texts: Iterable[Sequence[str]], n: int) -> float | None:
    """Return the distinct n-grams of all texts together, divided by all their n-grams (Li et al. 2016).

    Li et al. divide by the words instead, which for n = 1 is the same. An n-gram does not reach from one text into the
    next. The longer the texts, the lower the share: compare texts of about the same length.

    Args:
        texts: the units of each, as `words` returns them.
        n: units in an n-gram.

    Returns:
        From 0 to 1, where 1 says nothing twice. None: no text has n units.

    Raises:
        ValueError: n below 1.

    Example:
        >>> distinct_n([["a", "b", "a", "b"]], 1), distinct_n([["a", "b", "a", "b"]], 2)  # {a, b} / 4; {ab, ba} / 3
        (0.5, 0.6666666666666666)
    """
    grams = [gram for text in texts for gram in n_grams(text, n)]
    return len(set(grams)) / len(grams) if grams else None


def repeated_share(texts: Iterable[Sequence[str]], n: int = 4) -> float | None:
    """Return the share of n-grams that their own text has had before, the mean over the texts.

    That is seq-rep-n (Welleck et al. 2020, Neural text generation with unlikelihood training): about 0 for people's
    texts, near 1 for a model that is caught in a loop.

    Args:
        texts: the units of each, as `words` returns them. Those with fewer than n units are left out.
        n: units in an n-gram.

    Returns:
        From 0 to below 1. None: no text has n units.

    Raises:
        ValueError: n below 1.

    Example:
        >>> repeated_share([["a", "b", "a", "b", "a"]], 2)  # ab ba ab ba: two of four were there before
        0.5
    """
    grams = [found for text in texts if (found := list(n_grams(text, n)))]
    return sum(1 - len(set(one)) / len(one) for one in grams) / len(grams) if grams else None
