"""Parameter: a tensor that a module learns."""

from typing import Any

from groundup.engine.tensor import Tensor


class Parameter(Tensor):
    """A tensor that a module learns: assigned to an attribute of a module it becomes one of its parameters.

    Example:
        >>> Parameter([0.0, 0.0]).requires_grad
        True
    """

    __slots__ = ()

    def __init__(self, data: Any, requires_grad: bool = True) -> None:
        super().__init__(data, requires_grad=requires_grad)

    def __repr__(self) -> str:
        return f"Parameter containing:\n{super().__repr__()}"
