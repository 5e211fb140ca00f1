"""The linear map of the last dimension: x Wᵀ + b as one operation."""

import math

import numpy as np

from groundup.engine.errors import DTypeError, ShapeError
from groundup.engine.ops.rules import Array, Result, Rule


def linear(x: Array, weight: Array, bias: Array | None = None) -> Result:
    """Return x Wᵀ + b: x [..., I], weight [O, I], bias [O] -> [..., O].

    With all leading dimensions as rows n, y[n, o] = Σᵢ x[n, i] W[o, i] + b[o]. Each x[n, i] is used by every output o
    of its row, each W[o, i] and b[o] by every row:

        ∂L/∂x[n, i] = Σₒ dy[n, o] W[o, i],    so  dx = dy W
        ∂L/∂W[o, i] = Σₙ dy[n, o] x[n, i],    so  dW = dyᵀ x
        ∂L/∂b[o]    = Σₙ dy[n, o]

    Taking the leading dimensions as rows makes it one matrix product instead of one for each batch, and b is added to
    the product where it lies.

    Raises:
        ShapeError: sizes that do not fit.
        DTypeError: not all of one type.

    Example:
        >>> y, (rule_x, _, rule_bias) = linear(np.ones((2, 3)), np.full((1, 3), 2.0), np.array([0.5]))
        >>> y.tolist(), rule_x(y).shape, rule_bias(y).tolist()
        ([[6.5], [6.5]], (2, 3), [13.0])
    """
    _check(x, weight, bias)
    O, I = weight.shape  # noqa: E741 (outputs, inputs)
    shape, N = x.shape, math.prod(x.shape[:-1])
    rows = x.reshape(N, I)
    y = rows @ weight.T  # [N, O]
    if bias is not None:
        y += bias

    def rule_x(dy: Array) -> Array:
        return (dy.reshape(N, O) @ weight).reshape(shape)

    def rule_weight(dy: Array) -> Array:
        return dy.reshape(N, O).T @ rows

    rules: tuple[Rule, ...] = (rule_x, rule_weight)
    if bias is not None:
        # The sum over rows as a product with ones: matrix products run on every core, sums on one.
        rules += (lambda dy: np.ones(N, dy.dtype) @ dy.reshape(N, O),)
    return y.reshape(*shape[:-1], O), rules


def _check(x: Array, weight: Array, bias: Array | None) -> None:
    if weight.ndim != 2 or x.ndim == 0 or x.shape[-1] != weight.shape[1]:
        raise ShapeError(
            f"linear: x {list(x.shape)} and weight {list(weight.shape)} do not fit; weight is [out, in], and the last "
            "size of x must equal in"
        )
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ShapeError(
            f"linear: bias {list(bias.shape)} for weight {list(weight.shape)}; it must be [{weight.shape[0]}], one "
            "number for each output"
        )
    types = [a.dtype for a in (x, weight, bias) if a is not None]
    if len(set(types)) > 1:
        raise DTypeError(
            f"linear: x, weight and bias are {', '.join(map(str, types))}; they must be of one type: convert x, or the "
            "module with .to(dtype)"
        )
