"""Pairs of token rows as the rectangles that an encoder–decoder learns from.

Shapes: B pairs, S source positions, T target positions, N target tokens of all pairs.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from groundup.data.encoded_pairs import EncodedPairs
from groundup.data.padding import pad_rows


@dataclass(frozen=True)
class TranslationBatch:
    """Sources, and targets shifted by one token, padded on the right."""

    source: Tensor
    """Tokens of the sources, int64 [B, S]."""
    source_is_token: Tensor | None
    """Which of them are real, bool [B, S]. None: all."""
    inputs: Tensor
    """The begin token and all of each target but its last, int64 [B, T]."""
    places: Tensor
    """Positions of `inputs`, counted through all rows, behind which a token is to be predicted, int64 [N]."""
    targets: Tensor
    """That token, int64 [N]."""
    pairs: Tensor
    """Which of the training pairs these are, int64 [B]."""
    n_read: int
    """Real tokens of both sides."""


def lay_out_pairs(encoded: EncodedPairs, which: npt.NDArray[np.int64], begin_id: int) -> TranslationBatch:
    """Return the pairs `which` [B] as one batch: teacher forcing, each token predicted from those that are right.

    Example:
        >>> from groundup.data.encoded_pairs import encode_pairs
        >>> from groundup.data.pairs import Pairs
        >>> spell = lambda text: [*map(ord, text), 0]
        >>> encoded = encode_pairs(Pairs(source=("abc", "d"), target=("A", "BC")), spell, spell, max_tokens=9)
        >>> batch = lay_out_pairs(encoded, np.array([0, 1]), begin_id=9)
        >>> batch.inputs.tolist(), batch.places.tolist(), batch.targets.tolist()
        ([[9, 65, 0], [9, 66, 67]], [0, 1, 3, 4, 5], [65, 0, 66, 67, 0])
    """
    source, source_is_token = pad_rows([encoded.source[i] for i in which], 0)
    target, is_target = pad_rows([encoded.target[i] for i in which], 0)
    inputs = np.full_like(target, begin_id)
    inputs[:, 1:] = target[:, :-1]
    return TranslationBatch(
        source=torch.from_numpy(source),
        source_is_token=None if source_is_token.all() else torch.from_numpy(source_is_token),
        inputs=torch.from_numpy(inputs),
        places=torch.from_numpy(is_target.ravel().nonzero()[0]),
        targets=torch.from_numpy(target[is_target]),
        pairs=torch.from_numpy(which),
        n_read=int(source_is_token.sum() + is_target.sum()),
    )
