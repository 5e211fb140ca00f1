"""A picture of a graph: its boxes and arrows, shown as SVG in a notebook and as text in a terminal."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from groundup.engine import graph_svg

Kind = Literal["leaf", "constant", "operation", "cut"]


@dataclass(frozen=True, kw_only=True)
class Box:
    """What is written in one box, and what it stands for."""

    title: str
    kind: Kind
    note: str = ""
    """Beside the title."""
    lines: tuple[str, ...] = ()
    """Below the title."""

    @property
    def heading(self) -> str:
        """The title, and the note beside it."""
        return f"{self.title}  {self.note}" if self.note else self.title


@dataclass(frozen=True)
class Edge:
    """An arrow from one box to another, as indices."""

    source: int
    target: int
    label: str = ""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """Boxes and arrows. A notebook shows them, `print` writes them as text, `save` as SVG.

    Example:
        >>> boxes = [Box(title="tanh", kind="operation"), Box(title="x", kind="leaf")]
        >>> print(Picture(boxes=boxes, ranks=[1, 0], edges=[Edge(1, 0)]))
        tanh
        x
    """

    boxes: list[Box]
    """The result first."""
    ranks: list[int]
    """Of each box: every arrow goes to a higher rank."""
    edges: list[Edge]
    """Those of one target in the order of its inputs."""
    caption: str = ""

    def svg(self) -> str:
        """Return one SVG element, which is light or dark as the reader's system is."""
        return graph_svg.render(self)

    def _repr_svg_(self) -> str:
        return self.svg()

    def save(self, path: str | Path) -> None:
        """Write the picture as an SVG file."""
        Path(path).write_text(self.svg(), encoding="utf-8")

    def __str__(self) -> str:
        """Return the text: the result on top, and below each box what it was computed from.

        The input with the longest path behind it stands right below, in the same column; the others branch off before
        it. So a deep network is as narrow as a shallow one. A box with several uses is written out at the last of them;
        before that, ↓ says that it comes further down.
        """
        rows = list(_rows(self))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
        return "\n".join(line.rstrip() for line in ([self.caption] if self.caption else []) + lines)


def _rows(picture: Picture) -> Iterator[tuple[str, str, str]]:
    """Yield (branches and title, lines, label of the edge) from the result on, each edge once."""
    inputs: list[list[Edge]] = [[] for _ in picture.boxes]
    uses = [0] * len(picture.boxes)
    for edge in picture.edges:
        inputs[edge.target].append(edge)
        uses[edge.source] += 1
    names = [box.heading for box in picture.boxes]
    shared = {name for name, n in Counter(names).items() if n > 1}
    names = [f"{name} #{i}" if uses[i] > 1 and name in shared else name for i, name in enumerate(names)]
    heights = _heights(picture, inputs)
    stack: list[tuple[Edge, str, str, bool]] = [(Edge(0, 0), "", "", True)]  # edge, prefix, prefix below, written out
    while stack:
        edge, prefix, below, written_out = stack.pop()
        box = edge.source
        if not written_out:
            yield f"{prefix}↓ {names[box]}", "", edge.label
            continue
        yield prefix + names[box], ", ".join(picture.boxes[box].lines), edge.label
        for use in inputs[box]:
            uses[use.source] -= 1
        last = {use.source: i for i, use in enumerate(inputs[box]) if uses[use.source] == 0}  # written out here
        trunk = last[max(last, key=lambda source: heights[source])] if last else None
        branches = [i for i in range(len(inputs[box])) if i != trunk]
        entries = []
        for i in branches:
            ends = trunk is None and i == branches[-1]
            use = inputs[box][i]
            fork, line = ("└─ ", "   ") if ends else ("├─ ", "│  ")
            entries.append((use, below + fork, below + line, last.get(use.source) == i))
        if trunk is not None:
            entries.append((inputs[box][trunk], below, below, True))
        stack.extend(reversed(entries))


def _heights(picture: Picture, inputs: list[list[Edge]]) -> list[int]:
    """Return for each box the length of the longest path behind it."""
    heights = [0] * len(picture.boxes)
    for box in sorted(range(len(heights)), key=lambda box: picture.ranks[box]):  # inputs before what uses them
        heights[box] = max((heights[edge.source] + 1 for edge in inputs[box]), default=0)
    return heights
