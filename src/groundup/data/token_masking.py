"""Which tokens of texts are hidden, and what stands in their places: a pure function of a key.

Shapes: N tokens of all texts in a row.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from groundup.configs.masked import MaskingConfig

Ids = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Hidden:
    """Texts of which some tokens are hidden."""

    seen: npt.NDArray[np.int64]
    """What a model sees instead of the tokens [N]."""
    is_chosen: npt.NDArray[np.bool_]
    """Which of them it is to predict [N]."""


def hide_tokens(
    texts: Sequence[Ids],
    masking: MaskingConfig,
    *,
    key: int,
    mask_id: int,
    ordinary: npt.NDArray[np.int64],
    words: Sequence[npt.NDArray[np.int64]] | None = None,
) -> Hidden:
    """Choose tokens of each text and put others in their places (Devlin et al. 2018, section 3.1).

    Each token (each word, with `words`) is chosen by itself with `masking.probability`; of a text in which none would
    be, the one that came nearest to it is. What stands for a chosen token is drawn for each token, also of a word.

    The numbers come from Philox 4x64 (Salmon et al. 2011), whose stream NumPy keeps the same in all versions.

    Args:
        texts: their tokens; none of them empty.
        masking: how many, and what stands for them.
        key: decides all of it, 64 bits.
        mask_id: stands for most of the hidden ones.
        ordinary: ids that may stand for the others.
        words: of each text, the number of each token's word, rising from 0. None: each token by itself.

    Example:
        >>> text, masking = np.arange(20), MaskingConfig(probability=0.2)
        >>> hidden = hide_tokens([text], masking, key=4, mask_id=99, ordinary=np.arange(20))
        >>> np.flatnonzero(hidden.is_chosen).tolist(), hidden.seen[hidden.is_chosen].tolist()
        ([0, 3, 6, 9, 12, 15, 17], [99, 99, 99, 11, 99, 99, 99])
    """
    lengths = np.array([len(text) for text in texts], np.int64)
    begins = lengths.cumsum() - lengths
    tokens = np.concatenate([np.asarray(text, np.int64) for text in texts])
    draws = np.random.Philox(key=key).random_raw(3 * len(tokens)).reshape(3, -1)
    chance, fate = (draws[:2] >> np.uint64(11)) * 2.0**-53  # [0, 1), as exact as a float64 can be
    if words is not None:
        first = np.concatenate([begin + np.searchsorted(of, of) for begin, of in zip(begins, words, strict=True)])
        chance = chance[first]  # all tokens of a word share the chance of its first
    least = np.maximum(masking.probability, np.nextafter(np.minimum.reduceat(chance, begins), 1))
    is_chosen = chance < np.repeat(least, lengths)
    is_masked = is_chosen & (fate < masking.mask_share)
    is_random = is_chosen & ~is_masked & (fate < masking.mask_share + masking.random_share)
    any_token = ordinary[(draws[2] % np.uint64(len(ordinary))).astype(np.int64)]
    return Hidden(np.where(is_masked, mask_id, np.where(is_random, any_token, tokens)), is_chosen)
