"""The computation graph of a tensor, drawn: every recorded operation, from the leaves to the result."""

from collections.abc import Mapping

from groundup.engine.autograd import Node
from groundup.engine.errors import DTypeError, not_tensors
from groundup.engine.graph_picture import Box, Picture
from groundup.engine.graph_walk import picture
from groundup.engine.tensor import Tensor


def draw(tensor: Tensor, *, names: Mapping[str, Tensor] | None = None, max_nodes: int = 60) -> Picture:
    """Return the picture of how `tensor` was computed: every recorded operation, and the leaves it began from.

    The record holds what gradients flow through. An input that needs none (data, a Python number) has no box of
    its own: it is counted, as "+ 1 constant", in the box of the operation that used it.

    Args:
        tensor: any result. One that was not recorded (under `no_grad`, say) is a single box.
        names: of leaves or of results on the way, for example `dict(model.named_parameters())`.
        max_nodes: of a larger graph only so many are drawn, those nearest the result, and the picture says how many.

    Returns:
        A picture that shows itself in a notebook; `print` writes it as text, `save` as SVG.

    Raises:
        ValueError: when `max_nodes` is below 1.
        DTypeError: what is no tensor.

    Example:
        >>> from groundup.engine import tensor
        >>> w = tensor([1.0, 2.0], requires_grad=True)
        >>> print(draw((w * w).sum(), names={"w": w}))
        sum       float32 []
        multiply  float32 [2]
        ├─ ↓ w
        w         float32 [2], requires_grad=True
    """
    if not isinstance(tensor, Tensor):
        raise DTypeError(not_tensors("draw", tensor))
    known = {id(t if t.grad_fn is None else t.grad_fn): name for name, t in (names or {}).items()}

    def describe(part: Node | Tensor) -> Box:
        return _box(part, known.get(id(part), ""))

    start: Node | Tensor = tensor if tensor.grad_fn is None else tensor.grad_fn
    return picture(start, inputs=_inputs, describe=describe, max_nodes=max_nodes)


def _inputs(part: Node | Tensor) -> list[Node | Tensor]:
    return [x for x in part.inputs if x is not None] if isinstance(part, Node) else []


def _box(part: Node | Tensor, name: str) -> Box:
    content = f"{part.dtype} {list(part.shape)}"
    if isinstance(part, Tensor):
        return Box(title=name or "leaf", lines=(content, f"requires_grad={part.requires_grad}"), kind="leaf")
    n_constants = sum(x is None for x in part.inputs)
    constants = (f"+ {n_constants} constant{'s' if n_constants > 1 else ''}",) if n_constants else ()
    return Box(title=part.name, note=name, lines=(content, *constants), kind="operation")
