"""Texts to be read together outside training: of similar length, so that padding costs little."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

TOKENS_AT_ONCE = 4_096
"""Tokens that are read in one pass, padding included."""


def read_together(
    lengths: Sequence[int] | npt.NDArray[np.int64], tokens_at_once: int = TOKENS_AT_ONCE
) -> Iterator[npt.NDArray[np.int64]]:
    """Yield indices of texts to be read together, each text once, the longest first: too little memory shows at once.

    Args:
        lengths: of each text, in tokens.
        tokens_at_once: most of them in one batch, padding included; a text that is longer is read alone.

    Example:
        >>> [batch.tolist() for batch in read_together([2, 9, 8, 2], tokens_at_once=18)]
        [[1, 2], [0, 3]]
    """
    sizes = np.asarray(lengths, np.int64)
    order, first = np.argsort(-sizes, kind="stable"), 0
    while first < len(order):
        count = max(1, tokens_at_once // int(sizes[order[first]]))
        yield order[first : first + count]
        first += count
