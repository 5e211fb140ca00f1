"""Rows of different lengths as one rectangle: tokens, and which of them are real."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from groundup.errors import InputError


def pad_rows(
    rows: Sequence[Sequence[int]], pad_id: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:  # fmt: skip
    """Return (tokens [B, T], is_token [B, T]): each row, then `pad_id` up to the length of the longest.

    Padding comes last, so a causal model never sees it from a real token; where it is, logits mean nothing, and a loss
    must leave it out: `is_token` says where.

    Args:
        rows: ids of each text.
        pad_id: what fills. Any id will do, since nothing real may look at it; an id of its own tells it from text.

    Raises:
        InputError: no row, or a row of no tokens.

    Example:
        >>> tokens, is_token = pad_rows([[5, 6, 7], [8]], pad_id=0)
        >>> tokens.tolist(), is_token.astype(int).tolist()
        ([[5, 6, 7], [8, 0, 0]], [[1, 1, 1], [1, 0, 0]])
    """
    lengths = np.array([len(row) for row in rows], np.int64)
    if not len(rows) or not lengths.all():
        found = "no rows" if not len(rows) else f"row {int(np.argmin(lengths))} empty"
        raise InputError(f"expected rows of at least one token to pad, found {found}: leave empty texts out")
    is_token = np.arange(lengths.max()) < lengths[:, None]  # [B, T]
    tokens = np.full(is_token.shape, pad_id, np.int64)
    tokens[is_token] = np.concatenate([np.asarray(row, np.int64) for row in rows])
    return tokens, is_token
