"""Which vectors point the same way: nearest neighbours by cosine, and analogies by adding and subtracting.

Shapes: V vectors, D numbers each, N of them asked about, K neighbours.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from groundup.errors import InputError
from groundup.interpret.pca import Floats

BLOCK = 1_024
"""Vectors that are held against all others at a time."""


@dataclass(frozen=True)
class Neighbour:
    """One that is near."""

    index: int
    """Its row."""
    cosine: float
    """Of the angle between the two: 1 the same way, 0 at right angles, -1 the other way."""


def unit_rows(vectors: Floats) -> npt.NDArray[np.float32]:
    """Return vectors [V, D] made 1 long: float32; zeros stay zeros.

    Between such rows squared Euclidean distance is 2 - 2 cos, so both put neighbours in the same order.

    Example:
        >>> unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist()
        [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """
    vectors = np.asarray(vectors)
    lengths = np.sqrt(np.einsum("vd,vd->v", vectors, vectors, dtype=np.float64))[:, None]
    return (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32)


def nearest(units: Floats, query: Floats, n: int = 10, *, leave_out: Iterable[int] = ()) -> list[Neighbour]:
    """Return the `n` rows of `units` [V, D] whose angle with `query` [D] is smallest, the nearest first.

    Args:
        units: rows of length 1, from `unit_rows`.
        query: of any length.
        n: how many, fewer where there are fewer.
        leave_out: rows that do not count, such as the query's own.

    Example:
        >>> rows = unit_rows(np.array([[1.0, 0.0], [1.0, 0.1], [0.0, 5.0]]))
        >>> [one.index for one in nearest(rows, rows[0], leave_out=[0])]
        [1, 2]
    """
    cosines = units @ unit_rows(np.asarray(query)[None])[0]
    out = np.fromiter(set(leave_out), dtype=np.int64)
    cosines[out] = -np.inf
    n = max(0, min(n, len(units) - len(out)))
    best = np.argsort(-cosines, kind="stable")[:n]  # of equals the first
    return [Neighbour(int(i), float(cosines[i].clip(-1, 1))) for i in best]


def analogy(units: Floats, a: int, b: int, c: int, n: int = 10) -> list[Neighbour]:
    """Return what is to c as a is to b: the rows nearest to a - b + c, these three left out (Mikolov et al. 2013).

    king - man + woman: the step from man to king, taken from woman. Left out as in the paper, for the nearest row is
    nearly always c or a itself, so the answer is less than it looks (Linzen 2016).

    Args:
        units: rows of length 1 [V, D], from `unit_rows`.
        a: row from which b is subtracted.
        b: row that is subtracted.
        c: row that is added.
        n: how many answers.

    Example:
        >>> rows = unit_rows(np.array([[1.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 1.0, 1.0]]))
        >>> analogy(rows, 0, 1, 2)[0].index
        3
    """
    return nearest(units, units[a] - units[b] + units[c], n, leave_out=(a, b, c))


def all_nearest(units: Floats, k: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """Return for each row of `units` [V, D] its `k` nearest others, the nearest first: indices and cosines [V, K].

    Takes 2·V²·D operations: about ten seconds for 20,000 rows of 768 on one core.

    Raises:
        InputError: not 1 to V - 1 neighbours.

    Example:
        >>> all_nearest(unit_rows(np.array([[1.0, 0.0], [1.0, 0.1], [0.0, 5.0]])), 1)[0].tolist()
        [[1], [0], [1]]
    """
    V = len(units)
    if not 1 <= k < V:
        raise InputError(f"expected 1 to {V - 1} neighbours of {V} vectors, found {k}: take another number")
    import torch  # whose search is several times faster than a partition of NumPy's

    found, cosines = np.empty((V, k), dtype=np.int32), np.empty((V, k), dtype=np.float32)
    for rows, block in _blocks(units):
        best = torch.from_numpy(block).topk(k)
        found[rows], cosines[rows] = best.indices.numpy(), best.values.numpy()
    return found, cosines.clip(-1, 1)


def _blocks(units: Floats) -> Iterator[tuple[slice, Floats]]:
    """Yield the cosines of some rows with all, those with themselves at -inf."""
    for start in range(0, len(units), BLOCK):
        rows = slice(start, min(start + BLOCK, len(units)))
        cosines = units[rows] @ units.T
        cosines[np.arange(rows.stop - start), np.arange(start, rows.stop)] = -np.inf
        yield rows, cosines
