"""Which word each token of a text belongs to, whatever tokenizer made it."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from groundup.tokenization.base import Tokenizer
from groundup.tokenization.split import split

_EXACT = "surrogateescape"
"""Bytes that are half a character survive as they are."""


def word_numbers(tokenizer: Tokenizer, ids: Sequence[int]) -> npt.NDArray[np.int64]:
    """Return the number, from 0, of the word in which each token begins: [N].

    Words are those of GPT-2's split, so punctuation is a word of its own, and the space before a word is part of it.

    Example:
        >>> from groundup.tokenization.characters import CharacterTokenizer
        >>> tokenizer = CharacterTokenizer(" adegtu.")
        >>> word_numbers(tokenizer, tokenizer.encode("a date.")).tolist()
        [0, 1, 1, 1, 1, 1, 2]
    """
    spelled = [tokenizer.token_bytes(token) for token in ids]
    begins = np.cumsum([0, *map(len, spelled)])[:-1]
    words = split(b"".join(spelled).decode(errors=_EXACT))
    ends = np.cumsum([len(word.encode(errors=_EXACT)) for word in words])
    return np.searchsorted(ends, begins, side="right")
