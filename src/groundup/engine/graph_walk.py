"""From any graph without cycles to a picture of it: found, ordered, and cut to a size that can be looked at."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import TypeVar

from groundup.engine.graph_picture import Box, Edge, Picture

T = TypeVar("T")


def picture(
    result: T,
    *,
    inputs: Callable[[T], Sequence[T]],
    describe: Callable[[T], Box],
    labels: Callable[[T], Sequence[str]] | None = None,
    max_nodes: int = 60,
) -> Picture:
    """Return the picture of any graph without cycles.

    Nodes are taken by falling distance from the result, where the distance is that of the longest path: so a node comes
    after everything computed from it, and what is left out of a large graph is its beginning, whole.

    Args:
        result: where all paths end.
        inputs: what a node was computed from, in order; the same one may occur twice.
        describe: the box of a node.
        labels: what to write at the edge of each input.
        max_nodes: how many are drawn at most. Inputs beyond them are drawn as leaves, or as ⋯ if more lies behind.
    """
    if max_nodes < 1:
        raise ValueError(f"draw: max_nodes must be at least 1, found {max_nodes}")
    order, distances = _walk(result, inputs)
    shown = order[:max_nodes]
    index = {id(node): i for i, node in enumerate(shown)}
    boxes = [describe(node) for node in shown]
    ranks = [distances[id(node)] for node in shown]
    edges = []
    for node in shown:
        written = labels(node) if labels else [""] * len(inputs(node))
        target = index[id(node)]
        for x, label in zip(inputs(node), written, strict=True):
            if id(x) not in index:
                index[id(x)] = len(boxes)
                boxes.append(Box(title="⋯", kind="cut") if inputs(x) else describe(x))
                ranks.append(0)
            source = index[id(x)]
            if source >= len(shown):
                ranks[source] = max(ranks[source], ranks[target] + 1)
            edges.append(Edge(source, target, label))
    if len(boxes) == len(order) > len(shown):  # a ⋯ would take as much room as what it stands for
        return picture(result, inputs=inputs, describe=describe, labels=labels, max_nodes=len(order))
    n_drawn = sum(box.kind != "cut" for box in boxes)
    caption = f"{n_drawn:,} of {len(order):,} nodes; ⋯ leads on to the others" if n_drawn < len(order) else ""
    return Picture(boxes=boxes, ranks=[max(ranks) - rank for rank in ranks], edges=edges, caption=caption)


def _walk(result: T, inputs: Callable[[T], Sequence[T]]) -> tuple[list[T], dict[int, int]]:
    """Return all nodes, each after everything computed from it, and the length of its longest path to the result.

    Nodes are told apart by `id`: tensors compare element by element. Kahn (1962): a node's turn comes when all its uses
    have been seen; no recursion, so a chain of any length works.
    """
    found, uses = [result], {id(result): 0}
    for node in found:  # grows while it is gone through
        for x in inputs(node):
            if id(x) not in uses:
                uses[id(x)] = 0
                found.append(x)
            uses[id(x)] += 1
    order, distances, ready = [], dict.fromkeys(uses, 0), deque([result])
    while ready:
        node = ready.popleft()
        order.append(node)
        for x in inputs(node):
            distances[id(x)] = max(distances[id(x)], distances[id(node)] + 1)
            uses[id(x)] -= 1
            if uses[id(x)] == 0:
                ready.append(x)
    return order, distances
