"""Reverse-mode differentiation: the record of what was computed, and the pass backward over it.

`apply` runs an operation on the arrays of its tensors and, if one of them requires a gradient, keeps the operation's
rules in a Node. Each node points to the nodes that made its inputs, so the result of a computation holds its whole
record: a graph without cycles. `backward` walks it from the result towards the leaves.
"""

import heapq
import threading
from collections.abc import Sequence
from contextlib import ContextDecorator
from typing import TYPE_CHECKING, Any, Self
from weakref import ref

import numpy as np
from numpy import ndarray

from groundup.engine import changes
from groundup.engine.errors import DTypeError, GradientError, not_tensors
from groundup.engine.ops.rules import Array, Operation, Rule

if TYPE_CHECKING:
    from groundup.engine.tensor import Tensor


class Node:
    """One operation that was run, with the rules that its inputs' gradients need.

    Attributes:
        name: of the operation.
        number: of creation. An operation runs after those that made its inputs, so numbers rise along every path.
        inputs: for each input the node that made it, the leaf tensor itself, or None where no gradient is needed. Not
            the inputs' arrays: those that no rule needs are free to go.
        rules: one for each input; None in place of them all once a backward pass has used and released them.
        shape: of the output.
        dtype: of the output.
        retained: the tensor that wants this node's gradient in its `.grad`, if one asked by `retain_grad()`.
    """

    __slots__ = ("__weakref__", "dtype", "inputs", "name", "number", "retained", "rules", "shape")

    def __init__(
        self, name: str, inputs: "Sequence[Node | Tensor | None]", rules: Sequence[Rule | None], output: Array
    ) -> None:
        self.name = name
        self.number = changes.now()
        self.inputs = inputs
        self.rules: Sequence[Rule | None] | None = rules
        self.shape = output.shape
        self.dtype = output.dtype
        self.retained: ref[Tensor] | None = None

    def __reduce__(self) -> str:
        raise GradientError(
            f"a tensor made by '{self.name}' has a history, which cannot be copied or pickled; detach() it first"
        )

    def __repr__(self) -> str:
        return f"<{self.name} node {self.number}, shape {list(self.shape)}>"


class _Mode(threading.local):
    enabled = True


_mode = _Mode()


def is_grad_enabled() -> bool:
    """Return whether operations are being recorded (in this thread)."""
    return _mode.enabled


class _GradMode(ContextDecorator):
    """A `with` block or function decorator that sets whether operations are recorded, and restores it afterwards."""

    enabled: bool

    def __init__(self) -> None:
        self._before: list[bool] = []

    def __enter__(self) -> Self:
        self._before.append(_mode.enabled)
        _mode.enabled = self.enabled
        return self

    def __exit__(self, *exception: object) -> None:
        _mode.enabled = self._before.pop()


class no_grad(_GradMode):  # noqa: N801 (torch's name)
    """Record nothing inside: results require no gradient and hold no graph."""

    enabled = False


class enable_grad(_GradMode):  # noqa: N801 (torch's name)
    """Record again, inside `no_grad`."""

    enabled = True


class set_grad_enabled(_GradMode):  # noqa: N801 (torch's name)
    """Record inside, or not."""

    def __init__(self, mode: bool) -> None:
        super().__init__()
        self.enabled = mode


def apply(op: Operation, *inputs: "Tensor | Array", **settings: Any) -> "Tensor":
    """Run an operation on tensors and record it if one of them requires a gradient.

    Args:
        op: takes arrays by position and settings by name; returns the output and a rule for each array.
        inputs: tensors, or plain arrays (constants). At least one is a tensor.
        settings: passed to the operation as they are.

    Raises:
        DTypeError: an input that is neither a tensor nor an array, or no tensor among them.
    """
    arrays = []
    needed = False
    some: Tensor | None = None
    try:
        for x in inputs:
            if isinstance(x, ndarray):
                arrays.append(x)
            else:
                needed = x._requires_grad or needed
                arrays.append(x.data)
                some = x
    except AttributeError:
        some = None
    if some is None:
        raise DTypeError(not_tensors(op.__name__, *inputs))
    data, rules = op(*arrays, **settings)
    if type(data) is not ndarray:
        data = np.asarray(data)  # NumPy makes a scalar of an array without dimensions
    if not needed or not _mode.enabled:
        return some._result(data, None)
    parents: list[Node | Tensor | None] = []
    kept: list[Rule | None] = []
    for x, rule in zip(inputs, rules, strict=True):
        if rule is None or isinstance(x, ndarray) or not x._requires_grad:
            parents.append(None)
            kept.append(None)
        else:
            if x._node is not None and x._node.number < changes.newest_recorded:
                _check_history(x, op.__name__)
            parents.append(x if x._node is None else x._node)
            kept.append(rule)
    if not any(kept):
        return some._result(data, None)
    return some._result(data, Node(op.__name__, parents, kept, data))


def backward(start: "Node | Tensor", gradient: Array, *, retain_graph: bool = False) -> None:
    """Add ∂L/∂leaf to the `.grad` of every leaf that `start` was computed from, given gradient = ∂L/∂start.

    A node's gradient is complete only when everything computed from its output has passed its share back. Going by
    falling creation number sees to that: whatever used an output was created later. A heap holds the nodes that have
    some gradient; no recursion, so the length of a chain of operations is limited by memory alone.

    Each node's rules, and the arrays they hold, are released once passed, unless `retain_graph`.
    """
    if not isinstance(start, Node):
        start._accumulate(gradient, shared=True)
        return
    pending: dict[Node, Array] = {start: gradient}
    summed: set[Node] = set()  # nodes whose pending array was made here, so that it may be added to in place
    heap = [(-start.number, start)]
    with np.errstate(all="ignore"):
        while heap:
            node = heapq.heappop(heap)[1]
            dy = pending.pop(node)
            if node.rules is None:
                raise GradientError(
                    f"backward: the arrays that '{node.name}' kept were released by an earlier backward pass; "
                    "call the first one with retain_graph=True, or compute the result again"
                )
            if node.number < changes.newest:
                _check_unchanged(node)
            if node.retained is not None and (tensor := node.retained()) is not None:
                tensor._accumulate(dy, shared=True)
            for parent, rule in zip(node.inputs, node.rules, strict=True):
                if rule is None or parent is None:
                    continue
                part = rule(dy)
                if type(part) is not ndarray:
                    part = np.asarray(part)
                if not isinstance(parent, Node):
                    parent._accumulate(part, shared=part is dy or part.base is not None)
                elif parent not in pending:
                    pending[parent] = part
                    heapq.heappush(heap, (-parent.number, parent))
                elif parent in summed:
                    pending[parent] += part
                else:
                    pending[parent] = np.asarray(pending[parent] + part)
                    summed.add(parent)
            if not retain_graph:
                node.rules = None


def _check_unchanged(node: Node) -> None:
    """Raise if an array that the node's rules keep was changed in place after the operation ran."""
    for rule in node.rules or ():
        for array in changes.held_by(rule):
            if changes.changed_since(array, node.number):
                raise GradientError(
                    f"backward: '{node.name}' needs an array of shape {list(array.shape)} as it was, but that "
                    "was changed in place afterwards; use an operation that makes a new tensor, or clone() before"
                )


def _check_history(x: "Tensor", name: str) -> None:
    """Raise if a recorded operation changed the numbers of a tensor through another one on the same memory."""
    if x._node is not None and changes.rewritten_since(x.data, x._node.number):
        raise GradientError(
            f"{name}: the tensor of shape {list(x.shape)} made by '{x._node.name}' was changed in place through "
            "another one on the same memory, which its own history does not know; take the view again after the "
            "change, or clone() before it"
        )
