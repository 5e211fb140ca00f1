"""Where the texts of a token file begin and end, each short enough to be read whole."""

from typing import Any

import numpy as np
import numpy.typing as npt

from groundup.errors import InputError


def document_rows(ids: npt.NDArray[np.integer[Any]], end_id: int | None, longest: int) -> npt.NDArray[np.int64]:
    """Return begin and end of each text in a stream of tokens [N]: int64 [n, 2].

    A document is what stands between two `end_id`s, which belong to none; one that is longer than `longest` is cut into
    as few pieces of about the same length as can be.

    Args:
        ids: the tokens.
        end_id: the token between documents. None: all of it is one.
        longest: most tokens of a text.

    Raises:
        InputError: nothing but `end_id`s.

    Example:
        >>> document_rows(np.array([9, 1, 2, 3, 9, 9, 4, 5]), end_id=9, longest=2).tolist()
        [[1, 2], [2, 4], [6, 8]]
    """
    borders = np.flatnonzero(np.asarray(ids) == end_id) if end_id is not None else np.zeros(0, np.int64)
    begins, ends = np.concatenate([[0], borders + 1]), np.concatenate([borders, [len(ids)]])
    n_pieces = -(-(ends - begins) // longest)
    if not n_pieces.sum():
        raise InputError("expected tokens to learn from or to measure on, found none: take a longer text")
    document = np.repeat(np.arange(len(begins)), n_pieces)
    piece = np.arange(len(document)) - np.repeat(n_pieces.cumsum() - n_pieces, n_pieces)
    length, parts = (ends - begins)[document], n_pieces[document]
    return np.stack([begins[document] + length * piece // parts, begins[document] + length * (piece + 1) // parts], 1)
