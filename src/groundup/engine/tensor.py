"""Tensor: an array that remembers how it was computed, so that gradients can flow back through it."""

import builtins
import operator
import warnings
from collections.abc import Iterator
from typing import Any, Self
from weakref import ref

import numpy as np

from groundup.engine import autograd, comparisons, inplace, pointwise, printing, reductions, shaping
from groundup.engine.autograd import Node
from groundup.engine.dtypes import DType, as_array, is_floating
from groundup.engine.errors import DTypeError, GradientError, ShapeError, not_tensors
from groundup.engine.ops.rules import Array


class Tensor:
    """Numbers in n dimensions, all of one element type, with gradients if they are asked for.

    Operators and methods are the functions of the same name in `pointwise`, `comparisons`, `reductions`, `shaping`
    and `inplace`: x.exp() is exp(x). Those ending in _ write into this tensor's memory.

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
    __array_ufunc__ = None  # so that array + tensor is a tensor, and not an array of tensors

    data: Array
    _node: Node | None
    _grad: "Tensor | None"
    _owns_grad: bool

    def __init__(self, data: Any, *, requires_grad: bool = False, dtype: Any = None) -> None:
        self.data = as_array(data.data if isinstance(data, Tensor) else data, dtype)
        self._node = None
        self._grad = None
        self._requires_grad = False
        if requires_grad:
            self.requires_grad = True

    def _result(self, data: Array, node: Node | None) -> "Tensor":
        """Return a new tensor around `data`, made by `node`: a plain one, also if this is a Parameter."""
        new = _new(Tensor)
        new.data = data
        new._node = node
        new._grad = None
        new._requires_grad = node is not None
        return new

    # What it holds.

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
    def T(self) -> "Tensor":  # noqa: N802
        """The transpose of a matrix."""
        return shaping.t(self)

    @property
    def mT(self) -> "Tensor":  # noqa: N802
        """The transposes of the matrices in the last two dimensions."""
        return shaping.matrix_transpose(self)

    def size(self, dim: int | None = None) -> Any:
        """Return the shape, or the size of one dimension."""
        return self.shape if dim is None else self.shape[dim]

    def dim(self) -> int:
        """Return the number of dimensions."""
        return self.data.ndim

    def numel(self) -> int:
        """Return the number of elements."""
        return self.data.size

    def item(self) -> Any:
        """Return the only element as a Python number."""
        if self.data.size != 1:
            raise ShapeError(f"item: a tensor of shape {list(self.shape)} is not one number; index or reduce it first")
        return self.data.item()

    def tolist(self) -> Any:
        """Return nested lists of Python numbers."""
        return self.data.tolist()

    def numpy(self) -> Array:
        """Return the array itself: a change of one is a change of the other."""
        if self._requires_grad:
            raise GradientError(
                "numpy: of a tensor that requires a gradient, which an array cannot; use x.detach().numpy()"
            )
        return self.data

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    def __len__(self) -> int:
        if not self.data.ndim:
            raise ShapeError("len: a tensor without dimensions has no length")
        return len(self.data)

    def __iter__(self) -> "Iterator[Tensor]":
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        return printing.written(self)

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else repr(self)

    def __bool__(self) -> bool:
        return bool(self.item())

    def __float__(self) -> builtins.float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        return operator.index(self.item())

    # Gradients.

    @property
    def requires_grad(self) -> bool:
        """Whether gradients flow to this tensor; can be set on a leaf."""
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if self._node is not None and not value:
            raise GradientError("requires_grad can be turned off on a leaf only; use detach() for a computed tensor")
        if value and not is_floating(self.data.dtype):
            raise DTypeError(f"requires_grad: only floats can have gradients, this tensor holds {self.data.dtype}")
        self._requires_grad = value

    def requires_grad_(self, requires_grad: bool = True) -> Self:
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
        """The gradient collected so far: of leaves, and of computed tensors after `retain_grad()`; else None."""
        if self._grad is None and self._node is not None and self._node.retained is None:
            warnings.warn(
                "the gradient of a computed tensor is not kept unless retain_grad() asks for it", stacklevel=2
            )
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
        """Add to `.grad`: a shared array is copied, and only what was made here is added to in place."""
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

    def retain_grad(self) -> None:
        """Keep the gradient of a computed tensor in `.grad`."""
        if not self._requires_grad:
            raise GradientError("retain_grad: this tensor requires no gradient, so none will come")
        if self._node is not None:
            self._node.retained = ref(self)

    def backward(self, gradient: "Tensor | Array | None" = None, retain_graph: bool = False) -> None:
        """Add to `.grad` of every leaf that this was computed from the derivative with respect to it.

        Args:
            gradient: ∂L/∂self, of this tensor's shape. May be left out for a single number, where it is 1.
            retain_graph: keep what the pass needs, so that it can be done again.

        Raises:
            GradientError: nothing was recorded; several numbers and no `gradient`; a second pass through what the first
                released; an array that a rule needs was changed in place.
            ShapeError: `gradient` has another shape.
            DTypeError: `gradient` is neither a tensor nor an array.
        """
        if not self._requires_grad:
            raise GradientError(
                "backward: this tensor requires no gradient: no leaf that it was computed from does, or it was "
                "computed under no_grad()"
            )
        if gradient is not None:
            if not isinstance(gradient, np.ndarray | Tensor):
                raise DTypeError(not_tensors("backward", gradient))
            dy = gradient if isinstance(gradient, np.ndarray) else gradient.data
        elif self.data.size == 1:
            dy = np.ones_like(self.data)
        else:
            raise GradientError(
                f"backward: a tensor of shape {list(self.shape)} is not one number; reduce it, or give gradient="
            )
        if dy.shape != self.shape:
            raise ShapeError(f"backward: a gradient of shape {list(dy.shape)} for a tensor of shape {list(self.shape)}")
        dy = dy.astype(self.data.dtype, copy=False)
        autograd.backward(self if self._node is None else self._node, dy, retain_graph=retain_graph)

    def detach(self) -> "Tensor":
        """Return a tensor on the same memory, without history: no gradient flows through it."""
        return self._result(self.data, None)

    # Operators and methods: functions written elsewhere.

    __hash__ = object.__hash__
    __setitem__, __getitem__ = inplace.setitem, shaping.index
    __add__, __radd__, __iadd__ = pointwise.add, pointwise.add, inplace.add_
    __sub__, __rsub__, __isub__ = pointwise.sub, pointwise.rsub, inplace.sub_
    __mul__, __rmul__, __imul__ = pointwise.mul, pointwise.mul, inplace.mul_
    __truediv__, __rtruediv__, __itruediv__ = pointwise.div, pointwise.rdiv, inplace.div_
    __floordiv__, __rfloordiv__ = pointwise.floor_divide, pointwise.rfloor_divide
    __mod__, __rmod__ = pointwise.remainder, pointwise.rremainder
    __pow__, __rpow__ = pointwise.pow, pointwise.rpow
    __matmul__, __rmatmul__ = reductions.matmul, reductions.rmatmul
    __neg__, __abs__ = pointwise.neg, pointwise.abs
    __invert__, __and__, __or__ = comparisons.opposite, comparisons.both, comparisons.either
    __eq__, __ne__ = comparisons.eq, comparisons.ne  # type: ignore[assignment]
    __lt__, __le__, __gt__, __ge__ = comparisons.lt, comparisons.le, comparisons.gt, comparisons.ge

    add, sub, mul, div, pow = __add__, __sub__, __mul__, __truediv__, __pow__
    exp, log, sqrt, rsqrt, square = pointwise.exp, pointwise.log, pointwise.sqrt, pointwise.rsqrt, pointwise.square
    sin, cos, tanh, abs, clamp = pointwise.sin, pointwise.cos, pointwise.tanh, pointwise.abs, pointwise.clamp
    eq, ne, isnan, isfinite = comparisons.eq, comparisons.ne, comparisons.isnan, comparisons.isfinite
    maximum, minimum, reciprocal = pointwise.maximum, pointwise.minimum, pointwise.reciprocal
    logical_not, remainder = comparisons.logical_not, pointwise.remainder
    to, float, double, long = pointwise.to, pointwise.to_float, pointwise.to_double, pointwise.to_long

    sum, mean, var, std = reductions.sum, reductions.mean, reductions.var, reductions.std
    prod, cumsum, logsumexp = reductions.prod, reductions.cumsum, reductions.logsumexp
    max, min, amax, amin = reductions.max, reductions.min, reductions.amax, reductions.amin
    argmax, argmin, argsort = reductions.argmax, reductions.argmin, reductions.argsort
    sort, topk, any, all, matmul = reductions.sort, reductions.topk, reductions.any, reductions.all, reductions.matmul

    reshape, view, flatten, permute = shaping.reshape, shaping.view, shaping.flatten, shaping.permute
    transpose, t, flip, contiguous = shaping.transpose, shaping.t, shaping.flip, shaping.contiguous
    expand, expand_as, squeeze, unsqueeze = shaping.expand, shaping.expand_as, shaping.squeeze, shaping.unsqueeze
    gather, masked_fill, split, chunk = shaping.gather, shaping.masked_fill, shaping.split, shaping.chunk
    tril, triu, clone = shaping.tril, shaping.triu, shaping.clone

    relu, sigmoid = pointwise.relu, pointwise.sigmoid
    softmax, log_softmax = reductions.softmax, reductions.log_softmax

    add_, sub_, mul_, div_ = inplace.add_, inplace.sub_, inplace.mul_, inplace.div_
    copy_, fill_, zero_, clamp_ = inplace.copy_, inplace.fill_, inplace.zero_, inplace.clamp_


_new = object.__new__
