"""A picture of a graph as SVG, with no font, script or file from elsewhere."""

from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING

from groundup.engine.graph_layout import Point, place

if TYPE_CHECKING:
    from groundup.engine.graph_picture import Box, Edge, Picture

TITLE, LINE, LEADING, EM = 13.0, 11.0, 15.0, 0.602
"""Font sizes and distance of lines in pixels; a monospaced character is EM of its size wide."""
PAD_X, PAD_Y, MARGIN, TIP = 11.0, 8.0, 20.0, 7.0
WIDEST = 9
"""Ranks that are drawn from left to right. Graphs with more run from top to bottom, as pages scroll."""
FONT = 'ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace'
STYLE = f"""
.groundup-graph {{ --page: #ffffff; --ink: #1f2328; --soft: #59636e; --edge: #8c959f; --result: #0072b2;
  --operation: #e9f2fb; --operation-edge: #86aed8; --leaf: #fff4de; --leaf-edge: #d6a750; }}
@media (prefers-color-scheme: dark) {{
.groundup-graph {{ --page: #15191f; --ink: #e6edf3; --soft: #9aa5b1; --edge: #77818c; --result: #79c0ff;
  --operation: #17304b; --operation-edge: #4a7fb5; --leaf: #3a2e15; --leaf-edge: #a9812f; }}
}}
.groundup-graph text {{ font-family: {FONT}; font-size: {LINE:g}px; fill: var(--soft); white-space: pre; }}
.groundup-graph .title {{ font-size: {TITLE:g}px; font-weight: 600; fill: var(--ink); }}
.groundup-graph .note {{ font-weight: 400; fill: var(--soft); }}
.groundup-graph .label {{ text-anchor: middle; }}
.groundup-graph .page, .groundup-graph .behind {{ fill: var(--page); }}
.groundup-graph .edge path {{ fill: none; stroke: var(--edge); stroke-width: 1.3; }}
.groundup-graph .edge .tip {{ fill: var(--edge); stroke: none; }}
.groundup-graph .node rect {{ fill: var(--page); stroke: var(--edge); stroke-width: 1.2; }}
.groundup-graph .operation rect {{ fill: var(--operation); stroke: var(--operation-edge); }}
.groundup-graph .leaf rect {{ fill: var(--leaf); stroke: var(--leaf-edge); }}
.groundup-graph .constant rect, .groundup-graph .cut rect {{ stroke-dasharray: 3 3; }}
.groundup-graph .result rect {{ stroke: var(--result); stroke-width: 2.4; }}
"""


def render(picture: "Picture") -> str:
    """Return the SVG element of a picture: width and height follow from what is drawn."""
    to_right = max(picture.ranks) < WIDEST
    sizes = [_size(box) for box in picture.boxes]
    if to_right:  # boxes of a column are equally wide
        columns = list(zip(picture.ranks, sizes, strict=True))
        sizes = [(max(w for r, (w, _) in columns if r == rank), h) for rank, (_, h) in columns]
    longest = max((len(edge.label) for edge in picture.edges), default=0) * LINE * EM
    layout = place(
        [(w, h) if to_right else (h, w) for w, h in sizes],
        picture.ranks,
        [(edge.source, edge.target) for edge in picture.edges],
        spacing=(longest if to_right else min(longest, LEADING)) + 40,
    )
    top = MARGIN + (24 if picture.caption else 0)

    def at(point: Point) -> Point:
        u, v = point
        return (MARGIN + u, top + v) if to_right else (MARGIN + v, top + u)

    right, bottom = at(layout.extent)
    width, height = max(right, MARGIN + len(picture.caption) * LINE * EM) + MARGIN, bottom + MARGIN
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="groundup-graph" role="img" '
        f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}">',
        f"<title>How {escape(picture.boxes[0].heading)} was computed</title>",
        f"<style>{STYLE}</style>",
        '<rect class="page" width="100%" height="100%" rx="8"/>',
    ]
    if picture.caption:
        out.append(f'<text x="{MARGIN:g}" y="{MARGIN + LINE:g}">{escape(picture.caption)}</text>')
    routes = [[at(point) for point in route] for route in layout.routes]
    for edge, route in zip(picture.edges, routes, strict=True):
        out += _arrow(edge, route, to_right)
    for edge, route in zip(picture.edges, routes, strict=True):
        out += _label(edge, route)
    for i, box in enumerate(picture.boxes):
        out += _node(i, box, at(layout.centers[i]), sizes[i])
    return "\n".join([*out, "</svg>"]) + "\n"


def _size(box: "Box") -> Point:
    """Return width and height: all characters being equally wide, no font needs to be asked."""
    text = max([len(box.heading) * TITLE, *(len(line) * LINE for line in box.lines)]) * EM
    return max(text, 16.0) + 2 * PAD_X, TITLE + LEADING * len(box.lines) + 2 * PAD_Y


def _node(i: int, box: "Box", center: Point, size: Point) -> Iterator[str]:
    (x, y), (width, height) = center, size
    left, top = x - width / 2, y - height / 2
    kind = f"{box.kind} result" if i == 0 else box.kind
    yield f'<g class="node {kind}" id="node-{i}">'
    yield f'<rect x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}" rx="6"/>'
    note = f'<tspan class="note">  {escape(box.note)}</tspan>' if box.note else ""
    baseline = top + PAD_Y + TITLE - 2.5
    yield f'<text class="title" x="{left + PAD_X:.1f}" y="{baseline:.1f}">{escape(box.title)}{note}</text>'
    for k, line in enumerate(box.lines, start=1):
        yield f'<text x="{left + PAD_X:.1f}" y="{baseline + k * LEADING:.1f}">{escape(line)}</text>'
    yield "</g>"


def _arrow(edge: "Edge", route: list[Point], to_right: bool) -> Iterator[str]:
    """Draw a line through the points of a route, straight and curved in turn, and a tip at its end."""
    end_x, end_y = route[-1]
    *before, _ = route
    line = [*before, (end_x - TIP, end_y) if to_right else (end_x, end_y - TIP)]
    (x0, y0), path = line[0], ""
    path = f"M{x0:.1f} {y0:.1f}"
    for k, (x, y) in enumerate(line[1:]):
        if k % 2 == 0:
            path += f" L{x:.1f} {y:.1f}"
        else:
            (u, v), half = (x0, y0), ((x - x0) / 2 if to_right else (y - y0) / 2)
            bends = (u + half, v, x - half, y) if to_right else (u, v + half, x, y - half)
            path += " C" + " ".join(f"{number:.1f}" for number in bends) + f" {x:.1f} {y:.1f}"
        x0, y0 = x, y
    wings = f"l{-TIP - 1:g} -3.5 v7 z" if to_right else f"l-3.5 {-TIP - 1:g} h7 z"
    yield f'<g class="edge" data-from="node-{edge.source}" data-to="node-{edge.target}">'
    yield f'<path d="{path}"/><path class="tip" d="M{end_x:.1f} {end_y:.1f} {wings}"/></g>'


def _label(edge: "Edge", route: list[Point]) -> Iterator[str]:
    if edge.label:
        (x0, y0), (x1, y1) = route[1], route[2]
        x, y = (x0 + x1) / 2, (y0 + y1) / 2
        width = (len(edge.label) + 1) * LINE * EM
        yield f'<rect class="behind" x="{x - width / 2:.1f}" y="{y - 6:.1f}" width="{width:.1f}" height="12"/>'
        yield f'<text class="label" x="{x:.1f}" y="{y + LINE / 3:.1f}">{escape(edge.label)}</text>'
