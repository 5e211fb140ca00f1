"""What a map keeps of the space that it was drawn from: how many neighbours are neighbours still.

Shapes: N points, D numbers each.
"""

import numpy as np
import numpy.typing as npt

from groundup.errors import InputError
from groundup.interpret.pca import Floats

BLOCK = 128
"""Points that are asked at a time."""


def neighbours_kept(points: Floats, places: Floats, k: int = 10, *, at_most: int = 1_000, seed: int = 0) -> float:
    """Return which part of the `k` nearest neighbours of a point is among its `k` nearest on the map: 0 to 1.

    Places dealt by chance keep k / (N - 1) of them.

    Args:
        points: what was drawn [N, D].
        places: where it was drawn [N, 2].
        k: neighbours that count, by Euclidean distance in both.
        at_most: points that are asked, drawn by chance where there are more.
        seed: of that chance.

    Raises:
        InputError: not 1 to N - 1 neighbours.

    Example:
        >>> line = np.arange(6.0)[:, None]
        >>> neighbours_kept(line, 3 * line, 2), neighbours_kept(line, line[[3, 0, 4, 1, 5, 2]], 2) < 1
        (1.0, True)
    """
    N = len(points)
    if not 1 <= k < N:
        raise InputError(f"expected 1 to {N - 1} neighbours of {N} points, found {k}: take another number")
    asked = np.arange(N) if at_most >= N else np.random.default_rng(seed).choice(N, at_most, replace=False)
    n_shared = 0
    for start in range(0, len(asked), BLOCK):
        some = asked[start : start + BLOCK]
        pairs = zip(_nearest(points, some, k), _nearest(places, some, k), strict=True)
        n_shared += sum(len(np.intersect1d(before, after)) for before, after in pairs)
    return n_shared / (k * len(asked))


def _nearest(points: Floats, asked: npt.NDArray[np.int64], k: int) -> npt.NDArray[np.int64]:
    """Return the `k` nearest others of some points [len(asked), k], in no order."""
    points = np.asarray(points)
    squares = np.einsum("nd,nd->n", points, points)
    distances = squares - 2 * points[asked] @ points.T  # the asked point's own square is the same in a whole row
    distances[np.arange(len(asked)), asked] = np.inf
    return np.argpartition(distances, k - 1, axis=1)[:, :k]
