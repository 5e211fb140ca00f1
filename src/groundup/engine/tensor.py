"""Tensor: an array that remembers how it was computed, so that gradients can flow back through it."""

from typing import Any

import numpy as np

from groundup.engine import autograd, pointwise, reductions, shaping
from groundup.engine.autograd import Node
from groundup.engine.dtypes import DType, as_array, is_floating
from groundup.engine.errors import DTypeError, GradientError, ShapeError
from groundup.engine.ops.rules import Array


class Tensor:
    """An n-dimensional array with an element type, and with gradients if they are asked for.

    Args:
        data: numbers, nested lists of them, or a NumPy array, which is held as it is and not copied.
        requires_grad: whether the backward pass should leave a gradient in `.grad`. For floats only.
        dtype: element type; by default float32 for Python floats, int64 for ints, an array's own for an array.

    Example:
        >>> x = Tensor([2.0, 3.0], requires_grad=True)
        >>> (x * x).sum().backward()
        >>> x.grad  # d(x²)/dx = 2x
        tensor([4., 6.])
    """

    __slots__ = ("__weakref__", "_grad", "_node", "_owns_grad", "_requires_grad", "data")
    __array_ufunc__ = None  # so that array + tensor is ours and not an array of tensors

    data: Array
    _node: Node | None
    _grad: "Tensor | None"

    def __init__(self, data: Any, *, requires_grad: bool = False, dtype: Any = None) -> None:
        self.data = as_array(data.data if isinstance(data, Tensor) else data, dtype)
        self._node = None
        self._grad = None
        self._requires_grad = False
        if requires_grad:
            self.requires_grad = True

    def _result(self, data: Array, node: Node | None) -> "Tensor":
        """Return a new tensor around `data`, made by `node`. Not of self: a Parameter's results are plain tensors."""
        new = _new(Tensor)
        new.data = data
        new._node = node
        new._grad = None
        new._requires_grad = node is not None
        return new

    @property
    def shape(self) -> tuple[int, ...]:
        """Size of each dimension."""
        return self.data.shape

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return self.data.ndim

    @property
    def dtype(self) -> DType:
        """Element type."""
        return self.data.dtype

    @property
    def requires_grad(self) -> bool:
        """Whether gradients flow to this tensor; can be set on a leaf."""
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if self._node is not None and not value:
            raise GradientError("requires_grad can be turned off on a leaf only; use detach() for a computed tensor")
        if value and not is_floating(self.data.dtype):
            raise DTypeError(f"only tensors of floats can require gradients, this one holds {self.data.dtype}")
        self._requires_grad = value

    def requires_grad_(self, requires_grad: bool = True) -> "Tensor":
        """Set `requires_grad` and return self."""
        self.requires_grad = requires_grad
        return self

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded operation made this tensor."""
        return self._node is None

    @property
    def grad_fn(self) -> Node | None:
        """The recorded operation that made this tensor."""
        return self._node

    @property
    def grad(self) -> "Tensor | None":
        """The gradient collected so far; None before the first backward pass."""
        return self._grad

    @grad.setter
    def grad(self, value: "Tensor | None") -> None:
        if value is not None and (value.shape != self.shape or value.dtype != self.dtype):
            raise ShapeError(
                f"grad: {value.dtype}{list(value.shape)} for a tensor {self.dtype}{list(self.shape)}; both must agree"
            )
        self._grad = value
        self._owns_grad = False

    def _accumulate(self, gradient: Array, *, shared: bool) -> None:
        """Add to `.grad`. A shared array is copied; what is in `.grad` is added to in place only if it was made here."""
        if self._grad is None:
            self._grad = self._result(gradient.copy() if shared else gradient, None)
            self._owns_grad = True
        elif self._owns_grad:
            self._grad.data += gradient
        else:
            self._grad = self._result(np.asarray(self._grad.data + gradient), None)
            self._owns_grad = True

    def zero_grad(self) -> None:
        """Forget the gradient."""
        self.grad = None

    def backward(self, gradient: "Tensor | Array | None" = None, retain_graph: bool = False) -> None:
        """Add to `.grad` of every leaf the derivative of this tensor with respect to it.

        Args:
            gradient: ∂L/∂self, of this tensor's shape. May be left out for a single number, where it is 1.
            retain_graph: keep what the pass needs, so that it can be done again.
        """
        if not self._requires_grad:
            raise GradientError("backward: this tensor does not require a gradient and no recorded operation made it")
        if gradient is None:
            if self.data.size != 1:
                raise GradientError(
                    f"backward: a tensor of shape {list(self.shape)} is not one number; reduce it, or pass gradient="
                )
            dy = np.ones_like(self.data)
        else:
            dy = gradient if isinstance(gradient, np.ndarray) else gradient.data
            if dy.shape != self.shape:
                raise ShapeError(f"backward: gradient of shape {list(dy.shape)} for a tensor of {list(self.shape)}")
            dy = dy.astype(self.data.dtype, copy=False)
        autograd.backward(self if self._node is None else self._node, dy, retain_graph=retain_graph)

    def detach(self) -> "Tensor":
        """Return a tensor on the same memory, without history."""
        return self._result(self.data, None)

    def clone(self) -> "Tensor":
        """Return a copy that gradients flow through."""
        return shaping.clone(self)

    def item(self) -> Any:
        """Return the only element as a Python number."""
        return self.data.item()

    def tolist(self) -> Any:
        """Return nested lists of Python numbers."""
        return self.data.tolist()

    def numpy(self) -> Array:
        """Return the array itself."""
        return self.data

    def numel(self) -> int:
        """Return the number of elements."""
        return self.data.size

    def __len__(self) -> int:
        return len(self.data)

    def __repr__(self) -> str:
        return f"tensor({np.array2string(self.data, separator=', ')})"

    def __bool__(self) -> bool:
        return bool(self.data)

    __hash__ = object.__hash__

    __add__ = pointwise.add
    __sub__ = pointwise.sub
    __mul__ = pointwise.mul
    __truediv__ = pointwise.div
    __pow__ = pointwise.pow
    __matmul__ = reductions.matmul
    __neg__ = pointwise.neg
    __eq__ = pointwise.eq  # type: ignore[assignment]
    __ne__ = pointwise.ne  # type: ignore[assignment]
    __lt__ = pointwise.lt
    __le__ = pointwise.le
    __gt__ = pointwise.gt
    __ge__ = pointwise.ge
    __invert__ = pointwise.logical_not
    __getitem__ = shaping.index

    def __radd__(self, other: Any) -> "Tensor":
        return pointwise.add(other, self)

    def __rsub__(self, other: Any) -> "Tensor":
        return pointwise.sub(other, self)

    def __rmul__(self, other: Any) -> "Tensor":
        return pointwise.mul(other, self)

    def __rtruediv__(self, other: Any) -> "Tensor":
        return pointwise.div(other, self)

    def __rpow__(self, other: Any) -> "Tensor":
        return pointwise.pow(other, self)

    def __rmatmul__(self, other: Any) -> "Tensor":
        return reductions.matmul(other, self)

    # Methods that are functions of the same name: x.exp() is exp(x).
    exp, log, sqrt, rsqrt, abs = pointwise.exp, pointwise.log, pointwise.sqrt, pointwise.rsqrt, pointwise.abs
    sin, cos, tanh, pow, clamp = pointwise.sin, pointwise.cos, pointwise.tanh, pointwise.pow, pointwise.clamp
    square = pointwise.square
    sum, mean, matmul = reductions.sum, reductions.mean, reductions.matmul
    reshape, view, permute, transpose = shaping.reshape, shaping.view, shaping.permute, shaping.transpose


_new = object.__new__
