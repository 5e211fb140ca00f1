"""Pictures of graphs: everything there once, nothing on top of anything else, the same every time."""

import random
import re
import xml.etree.ElementTree as ET

import pytest

from groundup.engine import no_grad, ones, tensor, zeros
from groundup.engine.errors import DTypeError
from groundup.engine.graph import draw
from groundup.engine.graph_layout import place
from groundup.engine.graph_picture import Box, Edge, Picture
from groundup.engine.graph_walk import picture

SVG = "{http://www.w3.org/2000/svg}"


def network():
    x, targets = ones(4, 3), zeros(4, 2)
    names = {name: ones(*shape).requires_grad_() for name, shape in {"w1": (3, 5), "b1": (5,), "w2": (5, 2)}.items()}
    hidden = (x @ names["w1"] + names["b1"]).exp()
    loss = ((hidden @ names["w2"] - targets) ** 2).mean()
    return loss, names | {"hidden": hidden}


def random_graph(seed, n=30):
    """Return the inputs of each node: one to three later ones, some of them twice."""
    draw_from = random.Random(seed)
    inputs = {i: [draw_from.randint(i + 1, min(n, i + 8)) for _ in range(draw_from.randint(1, 3))] for i in range(n)}
    return inputs | {n: []}


def picture_of(inputs, **settings):
    kinds = {True: "operation", False: "leaf"}
    return picture(
        0,
        inputs=inputs.__getitem__,
        describe=lambda i: Box(
            title=f"node {i} {'x' * (i * 7 % 13)}".strip(), lines=("line",) * (i % 3), kind=kinds[i % 2 == 0]
        ),
        **settings,
    )


def rectangles(svg):
    root = ET.fromstring(svg)
    boxes = []
    for node in root.iter(f"{SVG}g"):
        if node.get("class").startswith("node"):
            rect = node.find(f"{SVG}rect")
            boxes.append(tuple(float(rect.get(key)) for key in ("x", "y", "width", "height")))
    return boxes


# Tensors


def test_every_node_and_edge_of_a_network_is_there_once():
    loss, names = network()
    found = draw(loss, names=names)
    titles = [box.title for box in found.boxes]
    assert titles[0] == loss.grad_fn.name
    n_operations, stack, seen = 0, [loss.grad_fn], set()
    edges = 0
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        n_operations += 1
        edges += sum(x is not None for x in node.inputs)
        stack += [x for x in node.inputs if hasattr(x, "inputs")]
    assert len(found.boxes) == n_operations + 3
    assert len(found.edges) == edges
    assert {"w1", "b1", "w2"} < set(titles)
    by_title = {box.title: box for box in found.boxes}
    assert by_title["w1"].lines == ("float32 [3, 5]", "requires_grad=True")
    assert [box.note for box in found.boxes if box.note] == ["hidden"]
    assert by_title["exp"].lines == ("float32 [4, 5]",)
    assert by_title["matmul"].lines[-1] in ("+ 1 constant", "float32 [4, 2]")


def test_constants_are_counted():
    w = ones(3, requires_grad=True)
    box = draw(w * tensor([1.0, 2.0, 3.0])).boxes[0]
    assert box.lines == ("float32 [3]", "+ 1 constant")


def test_an_unrecorded_tensor_is_one_box():
    with no_grad():
        y = ones(2, requires_grad=True) * 2
    assert str(draw(y, names={"y": y})) == "y  float32 [2], requires_grad=False"
    assert draw(y).edges == []


def test_a_leaf_used_twice_by_one_operation_is_one_box_with_two_edges():
    w = ones(2, requires_grad=True)
    found = draw(w * w)
    assert len(found.boxes) == 2
    assert [(edge.source, edge.target) for edge in found.edges] == [(1, 0), (1, 0)]


def test_a_long_chain_is_cut_with_its_size():
    x = ones(1, requires_grad=True)
    for _ in range(3_000):
        x = x + 1.0
    found = draw(x, max_nodes=10)
    assert found.caption == "10 of 3,001 nodes; ⋯ leads on to the others"
    assert [box.kind for box in found.boxes] == ["operation"] * 10 + ["cut"]
    assert found.caption in found.svg()
    assert str(found).startswith(found.caption)


def test_bad_limit_is_refused():
    with pytest.raises(DTypeError, match="draw: expected a tensor, found int"):
        draw(5)
    with pytest.raises(ValueError, match="at least 1, found 0"):
        draw(ones(1), max_nodes=0)


# SVG


@pytest.mark.parametrize("seed", range(6))
def test_svg_has_every_box_and_arrow_once_and_nothing_overlaps(seed):
    inputs = random_graph(seed)
    found = picture_of(inputs)
    root = ET.fromstring(found.svg())
    nodes = [g.get("id") for g in root.iter(f"{SVG}g") if g.get("class").startswith("node")]
    arrows = [(g.get("data-from"), g.get("data-to")) for g in root.iter(f"{SVG}g") if g.get("class") == "edge"]
    assert sorted(nodes) == sorted(f"node-{i}" for i in range(len(found.boxes)))
    assert len(arrows) == len(found.edges) == sum(len(inputs[int(b.title.split()[1])]) for b in found.boxes)
    assert arrows == [(f"node-{edge.source}", f"node-{edge.target}") for edge in found.edges]
    boxes = rectangles(found.svg())
    width, height = float(root.get("width")), float(root.get("height"))
    for i, (x, y, w, h) in enumerate(boxes):
        assert x >= 10
        assert y >= 10
        assert x + w <= width - 10
        assert y + h <= height - 10
        for a, b, c, d in boxes[:i]:
            apart = max(a - (x + w), x - (a + c), b - (y + h), y - (b + d))
            assert apart >= 10  # so that an arrow still fits between


@pytest.mark.parametrize("seed", range(4))
def test_lines_go_around_boxes(seed):
    """Along the flow a line passes a rank straight; there it is not inside any box of that rank."""
    found = picture_of(random_graph(seed))
    sizes = [(40.0, 10.0 + 7 * (i % 5)) for i in range(len(found.boxes))]
    layout = place(sizes, found.ranks, [(e.source, e.target) for e in found.edges], spacing=30)
    for edge, route in zip(found.edges, layout.routes, strict=True):
        for (u0, v0), (u1, v1) in zip(route[::2], route[1::2], strict=True):
            assert v0 == v1
            for box, (u, v) in enumerate(layout.centers):
                if box not in (edge.source, edge.target) and u0 <= u <= u1:
                    assert abs(v0 - v) > sizes[box][1] / 2


def test_a_tree_is_drawn_without_crossings():
    inputs = {i: [2 * i + 1, 2 * i + 2] if i < 15 else [] for i in range(31)}
    found = picture_of(inputs)
    layout = place([(10, 10)] * 31, found.ranks, [(e.source, e.target) for e in found.edges], spacing=30)
    for rank in set(found.ranks):
        lines = sorted(
            (route[0][1], route[-1][1])
            for e, route in zip(found.edges, layout.routes, strict=True)
            if found.ranks[e.source] == rank
        )
        assert [end for _, end in lines] == sorted(end for _, end in lines)


def test_a_shallow_graph_runs_to_the_right_and_a_deep_one_down():
    for n, direction in ((4, 0), (20, 1)):
        boxes = rectangles(picture_of({i: [i + 1] if i < n else [] for i in range(n + 1)}).svg())
        result, first = boxes[0], boxes[-1]
        assert result[direction] > first[direction] + first[direction + 2]


def test_the_same_graph_gives_the_same_bytes():
    assert picture_of(random_graph(1)).svg() == picture_of(random_graph(1)).svg()
    loss, names = network()
    again, same = network()
    assert draw(loss, names=names).svg() == draw(again, names=same).svg()


def test_names_are_escaped():
    w = ones(1, requires_grad=True)
    found = draw(w * 2.0, names={'<b> & "w"': w})
    assert any('<b> & "w"' in (text.text or "") for text in ET.fromstring(found.svg()).iter(f"{SVG}text"))


def test_notebooks_and_files_get_the_same_svg(tmp_path):
    loss, _ = network()
    found = draw(loss)
    found.save(tmp_path / "graph.svg")
    assert (tmp_path / "graph.svg").read_text(encoding="utf-8") == found._repr_svg_() == found.svg()
    assert "prefers-color-scheme: dark" in found.svg()
    assert not re.search(r"(href|src|url)", found.svg())  # nothing from elsewhere


# Text


@pytest.mark.parametrize("seed", range(6))
def test_text_has_a_line_for_the_result_and_one_for_each_edge(seed):
    found = picture_of(random_graph(seed))
    lines = str(found).splitlines()
    assert len(lines) == len(found.edges) + 1
    written_out = [line for line in lines if "↓" not in line]
    assert len(written_out) == len(found.boxes)
    for box in found.boxes:
        assert sum(re.search(rf"{box.title}( |$)", line) is not None for line in written_out) == 1


def test_text_comes_back_to_what_an_arrow_points_down_to():
    lines = str(picture_of(random_graph(2))).splitlines()
    for i, line in enumerate(lines):
        if "↓" in line:
            name = line.split("↓ ")[1].split("  ")[0].strip()
            assert any(name in later and "↓" not in later for later in lines[i + 1 :])


def test_a_deep_network_with_shortcuts_stays_narrow():
    inputs = {}
    for i in range(0, 60, 3):
        inputs |= {i: [i + 3, i + 1], i + 1: [i + 2], i + 2: [i + 3]}
    text = str(picture_of(inputs | {60: []}, max_nodes=100))
    assert max(len(line) for line in text.splitlines()) < 50


def test_boxes_of_one_name_are_told_apart_where_they_are_referred_to():
    boxes = [Box(title=title, kind="operation") for title in ("add", "add", "exp", "add")]
    edges = [Edge(1, 0), Edge(2, 0), Edge(3, 1), Edge(1, 2)]
    assert str(Picture(boxes=boxes, ranks=[3, 1, 2, 0], edges=edges)).split("\n") == [
        "add",
        "├─ ↓ add #1",
        "exp",
        "add #1",
        "add",
    ]
