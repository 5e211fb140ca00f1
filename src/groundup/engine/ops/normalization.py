"""LayerNorm and RMSNorm, each as one operation over the last dimensions.

Shapes: N rows (all leading dimensions), D numbers in each (the normalized dimensions, flattened).
"""

import math

import numpy as np

from groundup.engine.errors import ShapeError
from groundup.engine.ops.rules import Array, Result, Rule


def layer_norm(x: Array, weight: Array | None = None, bias: Array | None = None, *, n_dims: int, eps: float) -> Result:
    """Return n ∘ weight + bias, with n = (x - μ) / σ and σ = √(variance + ε) of each row (Ba et al. 2016, eq. 4).

    Derivation of dx, for one row. Let g = dy ∘ weight, what arrives at n. With c = x - μ, n = c/σ and σ² = c·c/D + ε:

        dc = g/σ - (g·c)/σ² · ∂σ/∂c      since n depends on c directly and through σ
           = (g - n (g·n)/D) / σ         since ∂σ/∂c = c/(Dσ) = n/D
        dx = dc - mean(dc)               since c = x - mean(x), a symmetric map

    Each n sums to 0 over its row, so mean(dc) = mean(g)/σ and

        dx = (g - mean(g) - n · mean(g ∘ n)) / σ

    In words: what g says about a common shift and a common scale of the row is taken out, as neither changes n. The
    others: dweight = Σ dy ∘ n, dbias = Σ dy, over rows. Kept: n, and σ of each row.

    Args:
        x: [..., *normalized].
        weight: [*normalized], or none for 1.
        bias: [*normalized], or none for 0.
        n_dims: how many of the last dimensions are normalized together.
        eps: added to the variance (which is divided by D, not D - 1).

    Example:
        >>> y, (rule,) = layer_norm(np.array([[1.0, 3.0]]), n_dims=1, eps=0.0)
        >>> y.tolist(), rule(np.array([[5.0, 5.0]])).tolist()
        ([[-1.0, 1.0]], [[0.0, 0.0]])
    """
    D = _width("layer_norm", x, n_dims, weight, bias)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # ±∞ and nan pass through, as in torch
        n = x.reshape(-1, D) - _means(x.reshape(-1, D))
        inverse = 1 / np.sqrt(_mean_products(n, n) + n.dtype.type(eps))  # 1/σ [N, 1]
        n *= inverse
    return _scaled(n, inverse, x.shape, weight, bias, is_centred=True)


def rms_norm(x: Array, weight: Array | None = None, *, n_dims: int, eps: float) -> Result:
    """Return n ∘ weight, with n = x / r and r = √(mean(x²) + ε) of each row (Zhang and Sennrich 2019, eq. 4).

    As in `layer_norm`, without the mean: with g = dy ∘ weight and ∂r/∂x = x/(Dr) = n/D,

        dx = (g - n · mean(g ∘ n)) / r

    Example:
        >>> rms_norm(np.array([[3.0, -3.0]]), n_dims=1, eps=0.0)[0].tolist()
        [[1.0, -1.0]]
    """
    D = _width("rms_norm", x, n_dims, weight, None)
    rows = x.reshape(-1, D)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        inverse = 1 / np.sqrt(_mean_products(rows, rows) + x.dtype.type(eps))  # 1/r [N, 1]
        n = rows * inverse
    return _scaled(n, inverse, x.shape, weight, None, is_centred=False)


def _scaled(
    n: Array, inverse: Array, shape: tuple[int, ...], weight: Array | None, bias: Array | None, *, is_centred: bool
) -> Result:
    """Return n ∘ weight + bias of n [N, D] as `shape`, and the rules for x, weight and bias."""
    D = n.shape[1]
    scale = None if weight is None else weight.reshape(D)

    def rule_x(dy: Array) -> Array:
        g = dy.reshape(-1, D) if scale is None else dy.reshape(-1, D) * scale
        dx = n * -_mean_products(g, n)
        dx += g
        if is_centred:
            dx -= _means(g)
        dx *= inverse
        return dx.reshape(shape)

    rules: tuple[Rule, ...] = (rule_x,)
    if weight is None or scale is None:
        return n.reshape(shape), rules
    of_weight = weight.shape
    y = n * scale
    rules += (lambda dy: np.einsum("nd,nd->d", dy.reshape(-1, D), n).reshape(of_weight),)
    if bias is not None:
        y += bias.reshape(D)
        rules += (lambda dy: (np.ones(len(n), dy.dtype) @ dy.reshape(-1, D)).reshape(of_weight),)
    return y.reshape(shape), rules


def _means(rows: Array) -> Array:
    """Return the mean of each row: [N, D] -> [N, 1]. A product with ones, as that is five times as fast as a sum."""
    D = rows.shape[1]
    means: Array = rows @ np.ones((D, 1), rows.dtype)
    means /= D
    return means


def _mean_products(a: Array, b: Array) -> Array:
    """Return mean(a ∘ b) of each row, without an array for a ∘ b: [N, D], [N, D] -> [N, 1]."""
    means: Array = np.vecdot(a, b)[:, None]
    means /= a.shape[1]
    return means


def _width(op: str, x: Array, n_dims: int, weight: Array | None, bias: Array | None) -> int:
    """Return D, having checked that the shapes fit."""
    normalized = x.shape[x.ndim - n_dims :]
    for name, array in (("weight", weight), ("bias", bias)):
        if array is not None and array.shape != normalized:
            raise ShapeError(
                f"{op}: {name} {list(array.shape)} for x {list(x.shape)}; it must have the shape of the last "
                f"{n_dims} dimension(s), {list(normalized)}"
            )
    return math.prod(normalized)
