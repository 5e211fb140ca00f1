"""Where boxes and lines of a graph go: ranks from the inputs to the result, few crossings, straight trunks.

The steps are those of Sugiyama, Tagawa and Toda (1981): rank the boxes, break long edges at every rank they pass, order
each rank to cross few lines, then choose positions. `u` runs along the flow, `v` across it.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

Point = tuple[float, float]
"""(u, v): along the flow, across it."""

GAP, EDGE_GAP, PORT = 18.0, 12.0, 14.0
"""Across the flow: between boxes, beside a passing line, and between two lines at the same box."""
ORDERINGS, PLACINGS = 12, 60
"""Sweeps over all ranks; on graphs of a hundred boxes more change nothing that can be seen."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Places of boxes and lines, from (0, 0) to `extent`."""

    centers: list[Point]
    """Of each box."""
    routes: list[list[Point]]
    """Of each edge: points in pairs, straight within a pair and curved from one pair to the next."""
    extent: Point


class _Cells:
    """What takes part in the layout: the boxes, then one cell wherever an edge passes a rank."""

    def __init__(self, widths: Sequence[float], ranks: Sequence[int], edges: Sequence[tuple[int, int]]) -> None:
        self.n_boxes = len(widths)
        self.widths = list(widths)
        self.layers: list[list[int]] = [[] for _ in range(max(ranks) + 1)]
        self.up: dict[int, list[int]] = defaultdict(list)  # neighbours one rank nearer the inputs
        self.down: dict[int, list[int]] = defaultdict(list)  # and one nearer the result
        for box, rank in enumerate(ranks):
            self.layers[rank].append(box)
        self.paths = [self._path(source, target, ranks) for source, target in edges]

    def _path(self, source: int, target: int, ranks: Sequence[int]) -> list[int]:
        path = [source]
        for rank in range(ranks[source] + 1, ranks[target]):
            path.append(len(self.widths))
            self.widths.append(0.0)
            self.layers[rank].append(path[-1])
        path.append(target)
        for a, b in pairwise(path):
            self.down[a].append(b)
            self.up[b].append(a)
        return path

    def gap(self, a: int, b: int) -> float:
        """Return the distance of two neighbours' centres: half of each, and air."""
        air = GAP if a < self.n_boxes and b < self.n_boxes else EDGE_GAP
        return (self.widths[a] + self.widths[b]) / 2 + air

    def weight(self, cell: int) -> float:
        """Return how firmly a cell holds its place: passing lines most, then trunks, then what hangs at one of them."""
        if cell >= self.n_boxes:
            return 40.0
        return 20.0 if self.up[cell] else 1.0


def place(sizes: Sequence[Point], ranks: Sequence[int], edges: Sequence[tuple[int, int]], *, spacing: float) -> Layout:
    """Place boxes and route edges.

    Args:
        sizes: (along the flow, across it) of each box.
        ranks: of each box, from 0; every edge goes to a higher rank.
        edges: (from, to), as indices of boxes. The same pair may occur several times.
        spacing: between one rank and the next.

    Example:
        >>> place([(10, 4), (10, 4)], [0, 1], [(0, 1)], spacing=20).centers
        [(5.0, 2.0), (35.0, 2.0)]
    """
    cells = _Cells([across for _, across in sizes], ranks, edges)
    _order(cells)
    v = _positions(cells)
    low = min(v[c] - cells.widths[c] / 2 for c in range(len(v)))
    v = [x - low for x in v]
    bands: list[Point] = []
    for layer in cells.layers:
        start = bands[-1][1] + spacing if bands else 0.0
        bands.append((start, start + max((sizes[c][0] for c in layer if c < len(sizes)), default=0.0)))
    centers = [(sum(bands[ranks[box]]) / 2, v[box]) for box in range(len(sizes))]
    return Layout(
        centers=centers,
        routes=_routes(cells, sizes, ranks, bands, v),
        extent=(bands[-1][1], max(v[c] + cells.widths[c] / 2 for c in range(len(v)))),
    )


def _order(cells: _Cells) -> None:
    """Order every rank so that few lines cross: cells go to the mean position of their neighbours, again and again."""
    best, fewest = [list(layer) for layer in cells.layers], _crossings(cells)
    for sweep in range(ORDERINGS):
        downwards = sweep % 2 == 1
        neighbours = cells.up if downwards else cells.down
        for layer in cells.layers if downwards else reversed(cells.layers):
            at = {cell: i for other in cells.layers for i, cell in enumerate(other)}
            wishes = {}
            for cell in layer:
                beside = neighbours[cell] or [cell]
                wishes[cell] = sum(at[n] for n in beside) / len(beside)
            layer.sort(key=wishes.__getitem__)
        if (n := _crossings(cells)) < fewest:
            best, fewest = [list(layer) for layer in cells.layers], n
    cells.layers = best


def _crossings(cells: _Cells) -> int:
    """Count pairs of lines between adjacent ranks whose ends are in opposite order."""
    n = 0
    for layer, following in pairwise(cells.layers):
        at = {cell: i for i, cell in enumerate(following)}
        ends = [at[b] for a in layer for b in sorted(cells.down[a], key=at.__getitem__)]
        n += sum(ends[j] > end for i, end in enumerate(ends) for j in range(i))
    return n


def _positions(cells: _Cells) -> list[float]:
    """Choose v for every cell: near its neighbours in the ranks beside it, in the given order, and never too close."""
    v = [0.0] * len(cells.widths)
    for layer in cells.layers:
        for a, b in pairwise(layer):
            v[b] = v[a] + cells.gap(a, b)
    for sweep in range(PLACINGS):
        for layer in reversed(cells.layers) if sweep % 2 == 0 else cells.layers:
            wishes = []
            for cell in layer:
                beside = cells.up[cell] + cells.down[cell]
                weights = [cells.weight(n) for n in beside]
                wish = sum(w * v[n] for w, n in zip(weights, beside, strict=True)) / sum(weights) if beside else 0.0
                wishes.append(wish)
            for cell, x in zip(layer, _nearest(cells, layer, wishes), strict=True):
                v[cell] = x
    return v


def _nearest(cells: _Cells, layer: list[int], wishes: list[float]) -> list[float]:
    """Return the positions nearest to the wishes, in weighted least squares, that keep order and gaps.

    Without the gaps, taken off first, what is left is to find a rising sequence: wherever a wish is below the one
    before, the two merge into one block at their weighted mean (pool adjacent violators, Ayer et al. 1955).
    """
    offsets = [0.0]
    for a, b in pairwise(layer):
        offsets.append(offsets[-1] + cells.gap(a, b))
    blocks: list[tuple[float, float, int]] = []  # (weight, mean, cells)
    for cell, wish, offset in zip(layer, wishes, offsets, strict=True):
        weight, mean, n = cells.weight(cell), wish - offset, 1
        while blocks and blocks[-1][1] >= mean:
            w, m, k = blocks.pop()
            weight, mean, n = weight + w, (weight * mean + w * m) / (weight + w), n + k
        blocks.append((weight, mean, n))
    means = [mean for _, mean, n in blocks for _ in range(n)]
    return [mean + offset for mean, offset in zip(means, offsets, strict=True)]


def _routes(
    cells: _Cells, sizes: Sequence[Point], ranks: Sequence[int], bands: list[Point], v: list[float]
) -> list[list[Point]]:
    """Lead every edge through the free space between ranks, straight past the boxes of a rank."""
    leaving: dict[int, list[tuple[float, int]]] = defaultdict(list)
    arriving: dict[int, list[tuple[float, int]]] = defaultdict(list)
    for i, path in enumerate(cells.paths):
        leaving[path[0]].append((v[path[1]], i))
        arriving[path[-1]].append((v[path[-2]], i))
    starts, ends = _ports(leaving, cells, v), _ports(arriving, cells, v)
    routes = []
    for i, path in enumerate(cells.paths):
        source, target = path[0], path[-1]
        first, last = bands[ranks[source]], bands[ranks[target]]
        route = [(sum(first) / 2 + sizes[source][0] / 2, starts[i]), (first[1], starts[i])]
        for rank, cell in enumerate(path[1:-1], start=ranks[source] + 1):
            route += [(bands[rank][0], v[cell]), (bands[rank][1], v[cell])]
        route += [(last[0], ends[i]), (sum(last) / 2 - sizes[target][0] / 2, ends[i])]
        routes.append(route)
    return routes


def _ports(edges_at: dict[int, list[tuple[float, int]]], cells: _Cells, v: list[float]) -> dict[int, float]:
    """Return v of each edge where it touches its box: spread over the side, in the order of the far ends."""
    ports = {}
    for box, edges in edges_at.items():
        step = min(PORT, cells.widths[box] / (len(edges) + 1))
        for i, (_, edge) in enumerate(sorted(edges)):
            ports[edge] = v[box] + (i - (len(edges) - 1) / 2) * step
    return ports
