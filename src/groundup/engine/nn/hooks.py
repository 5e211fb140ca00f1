"""Hooks: functions that a module calls before or after its forward, to look or to change, until they are removed."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self, TypeAlias

if TYPE_CHECKING:
    from groundup.engine.nn.module import Module

ForwardHook: TypeAlias = Callable[["Module", tuple[Any, ...], Any], Any]
"""(module, arguments, output) -> None, or an output to take its place."""
ForwardPreHook: TypeAlias = Callable[["Module", tuple[Any, ...]], Any]
"""(module, arguments) -> None, or arguments to take their place: a tuple, or the only one."""


class RemovableHandle:
    """What registering a hook returns; `remove()`, or the end of a `with` block, takes the hook away."""

    def __init__(self, hooks: "dict[RemovableHandle, Any]", hook: object) -> None:
        self._hooks = hooks
        hooks[self] = hook

    def remove(self) -> None:
        """Take the hook away; a second time does nothing."""
        self._hooks.pop(self, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.remove()
