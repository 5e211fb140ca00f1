"""Which memory was changed in place, and when: how autograd knows that an array it kept is no longer what it was.

Time is counted by one counter that numbers nodes and changes alike. An operation's node is older than a change if its
number is smaller; then, if its rules hold the memory that was changed, its gradient would be wrong. Tensors that share
memory (views) share its changes, since these are noted of the array that owns the memory. Nothing is stored for memory
that was never changed in place, and an operation that runs pays nothing.
"""

import weakref
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from typing import Any

import numpy as np

from groundup.engine.ops.rules import Array

_times = count(1)
_changed: dict[int, "_Change"] = {}  # by the id of the owner, forgotten with it
newest = 0
"""Time of the newest change of any memory."""
newest_recorded = 0
"""Time of the newest change of any memory that was itself recorded as an operation."""


class _Change:
    """When some memory was last changed, in all and by a recorded operation."""

    __slots__ = ("last", "last_recorded", "owner")

    def __init__(self, owner: Array) -> None:
        key = id(owner)
        self.owner = weakref.ref(owner, lambda _: _changed.pop(key, None))
        self.last = self.last_recorded = 0


def now() -> int:
    """Return a number larger than all before."""
    return next(_times)


def owner_of(array: Array) -> Array:
    """Return the array whose memory this is: itself, or the one that it is a view of."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def note(array: Array, *, recorded: bool = False) -> None:
    """Remember that the array's memory was just changed in place: whoever writes into a tensor's `.data` says so here.

    Args:
        array: what was written to.
        recorded: whether the change is part of the graph, so that gradients flow through it.
    """
    global newest, newest_recorded
    owner = owner_of(array)
    change = _changed.get(id(owner))
    if change is None:
        change = _changed[id(owner)] = _Change(owner)
    change.last = newest = now()
    if recorded:
        change.last_recorded = newest_recorded = newest


def changed_since(array: Array, time: int) -> bool:
    """Return whether the array's memory was changed in place after `time`."""
    change = _changed.get(id(owner_of(array)))
    return change is not None and change.last > time


def rewritten_since(array: Array, time: int) -> bool:
    """Return whether a recorded operation changed the array's memory after `time`."""
    change = _changed.get(id(owner_of(array)))
    return change is not None and change.last_recorded > time


def held_by(rule: Callable[..., Any] | None) -> Iterator[Array]:
    """Yield the arrays that a rule keeps in its closure, also those inside functions, tuples, lists and dicts there."""
    waiting: list[Any] = [rule]
    seen: set[int] = set()
    while waiting:
        item = waiting.pop()
        if isinstance(item, np.ndarray):
            yield item
        elif id(item) in seen:
            continue
        elif isinstance(item, partial):
            waiting += [item.func, *item.args, *item.keywords.values()]
        elif isinstance(item, tuple | list):
            waiting += item
        elif isinstance(item, dict):
            waiting += item.values()
        else:
            waiting += [cell.cell_contents for cell in getattr(item, "__closure__", None) or ()]
        seen.add(id(item))
