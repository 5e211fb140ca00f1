"""Adding rows to places, some of them many times: the backward pass of every lookup."""

import numpy as np

from groundup.engine.ops.rules import Array


def add_rows(ids: Array, rows: Array, n_places: int) -> Array:
    """Return [n_places, R]: row k of `rows` [N, R] added at place ids[k]; places that no id names are 0.

    np.add.at does this one row at a time. Here rows of one place are first brought together by sorting the ids, then
    each run of them is summed in one go. Rows of one number are counted: np.bincount weighs each id by its number.
    For a GPT's table (768 rows of 128, 65 places) it takes about a fifth of the time. A product with a one-hot matrix
    is quicker still, but makes NaN of 0 · inf, in places that have nothing to do with it.

    Example:
        >>> add_rows(np.array([2, 0, 2]), np.array([[1.0, 1.0], [5.0, 5.0], [2.0, 2.0]]), 3).tolist()
        [[5.0, 5.0], [0.0, 0.0], [3.0, 3.0]]
    """
    if rows.shape[1] == 1:
        return np.bincount(ids, rows[:, 0], n_places).astype(rows.dtype, copy=False)[:, None]
    out = np.zeros((n_places, rows.shape[1]), rows.dtype)
    if rows.size:
        order = np.argsort(ids, kind="stable")  # stable: sums are taken in one order, whatever the processor
        ids = ids[order]
        starts = np.flatnonzero(ids[1:] != ids[:-1]) + 1
        if len(starts) == len(ids) - 1:  # no id twice
            out[ids] = rows[order]
        else:
            starts = np.concatenate(([0], starts))
            out[ids[starts]] = np.add.reduceat(rows[order], starts, axis=0)
    return out
