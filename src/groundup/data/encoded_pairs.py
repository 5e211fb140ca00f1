"""Pairs of texts as pairs of token rows, each side with its end token; a pair that is too long is left out, counted."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from groundup.data.pairs import Pairs

Row = npt.NDArray[np.int32]
"""The tokens of one text."""
Encode = Callable[[str], list[int]]
"""From a text to its tokens, the one that ends it too."""


@dataclass(frozen=True, kw_only=True)
class EncodedPairs:
    """Pairs as tokens."""

    source: tuple[Row, ...]
    """Tokens of each source, its end token last."""
    target: tuple[Row, ...]
    """Tokens of each target, its end token last."""
    pairs: Pairs
    """The texts of these pairs."""
    n_too_long: int
    """Pairs that were left out because a side has too many tokens."""

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Tokens of both sides of each pair [N, 2]."""
        sides = [[len(source), len(target)] for source, target in zip(self.source, self.target, strict=True)]
        return np.array(sides, np.int64).reshape(-1, 2)


def encode_pairs(pairs: Pairs, source: Encode, target: Encode, *, max_tokens: int) -> EncodedPairs:
    """Return the pairs of which neither side has more than `max_tokens` tokens, in their order.

    A longer pair is left out whole: a source that was cut would teach to translate what is not there.

    Example:
        >>> bytes_and_end = lambda text: [*text.encode(), 256]
        >>> pairs = Pairs(source=("ab", "abcd"), target=("b", "c"))
        >>> found = encode_pairs(pairs, bytes_and_end, bytes_and_end, max_tokens=4)
        >>> [row.tolist() for row in found.source], found.pairs.target, found.n_too_long
        ([[97, 98, 256]], ('b',), 1)
    """
    rows: list[tuple[Row, Row]] = []
    kept: list[tuple[str, str]] = []
    for pair in pairs:
        sides = source(pair[0]), target(pair[1])
        if max(map(len, sides)) <= max_tokens:
            rows.append((np.asarray(sides[0], np.int32), np.asarray(sides[1], np.int32)))
            kept.append(pair)
    return EncodedPairs(
        source=tuple(row for row, _ in rows),
        target=tuple(row for _, row in rows),
        pairs=Pairs(source=tuple(text for text, _ in kept), target=tuple(text for _, text in kept)),
        n_too_long=len(pairs) - len(kept),
    )
