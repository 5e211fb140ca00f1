"""Scaled dot-product attention as one operation: softmax(QKᵀ/√K)V, which keeps one array of the size of the scores.

Shapes: B batch, H query heads, G key/value heads (G divides H), T queries, S keys, K head width.

For one head, with the softmax over each row (Vaswani et al. 2017, eq. 1):

    Z = QKᵀ/√K          scores [T, S]: how well each key fits each query
    W = softmax(Z)      weights [T, S], each row sums to 1
    Y = WV              each output is a mean of the values

Backward. Y = WV is a product, so dW = dY Vᵀ and dV = Wᵀ dY. Of the softmax w = eᶻ/Σeᶻ, ∂wᵢ/∂zⱼ = wᵢ(δᵢⱼ - wⱼ), so
in each row

    dzⱼ = Σᵢ dwᵢ wᵢ(δᵢⱼ - wⱼ) = wⱼ (dwⱼ - Σᵢ dwᵢ wᵢ)

The sum over all keys is one over the head's width instead, which is shorter: Σᵢ dwᵢ wᵢ = Σᵢ wᵢ (dy · vᵢ) = dy · y
(Dao et al. 2022, FlashAttention, appendix B.2). Last, dQ = dZ K/√K and dK = dZᵀ Q/√K. A head of keys and values
that serves several heads of queries gets the sum of their gradients.

With dropout a weight stays with probability 1 - p and is divided by that; the others are 0. Then Y = (W ∘ M)V and
dW = M ∘ (dY Vᵀ), and dy · y is still the sum.

Kept: Q, K, V, W and Y, but not the scores. Results lie in memory as [B, T, H, K], where they are needed next: heads
side by side in [B, T, H·K] are then no copy.
"""

import math
from typing import Any

import numpy as np

from groundup.engine.errors import DTypeError, ShapeError
from groundup.engine.ops.rules import Array, Result, Rule


def attention(
    q: Array,
    k: Array,
    v: Array,
    *,
    scale: float | None = None,
    mask: Array | None = None,
    is_causal: bool = False,
    dropout_p: float = 0.0,
    generator: np.random.Generator | None = None,
) -> Result:
    """Return what each query gathers: [B, H, T, K], [B, G, S, K], [B, G, S, K] -> [B, H, T, K].

    Args:
        q: queries. All three may come without H, or without B and H: one head of each row, or one alone.
        k: keys; with G < H each head of them serves H/G heads of queries in a row (Ainslie et al. 2023).
        v: values; their width may be another than K.
        scale: in place of 1/√K.
        mask: boolean, broadcast to [B, H, T, S], True = may attend. A query that may attend to nothing gathers zeros.
        is_causal: query t attends to keys 0 … t only.
        dropout_p: probability of dropping a weight.
        generator: NumPy's, for dropout.

    Raises:
        ShapeError: shapes that do not fit.
        DTypeError: not all of one type of floats, or a mask that is not boolean.

    Example:
        >>> q = k = np.zeros((1, 1, 2, 1))
        >>> v = np.array([[[[2.0], [4.0]]]])
        >>> attention(q, k, v)[0].ravel().tolist()  # equal scores: the mean of the values
        [3.0, 3.0]
        >>> attention(q, k, v, is_causal=True)[0].ravel().tolist()  # the first sees itself alone
        [2.0, 3.0]
    """
    if q.ndim == k.ndim == v.ndim < 4:  # one head, or one head of one row
        settings = {"scale": scale, "mask": mask, "is_causal": is_causal, "dropout_p": dropout_p}
        return _with_heads(q, k, v, **settings, generator=generator)
    _check(q, k, v, mask)
    (B, H, T, K), (G, S) = q.shape, k.shape[1:3]
    R, factor = H // G, q.dtype.type(1 / math.sqrt(max(1, K)) if scale is None else scale)
    if is_causal:
        mask = np.tri(T, S, dtype=bool) if mask is None else mask & np.tri(T, S, dtype=bool)
    # [B, G, R, T, K] and [B, G, 1, S, K]: the R heads of queries for each head of keys. All of these are views.
    queries, keys, values = q.reshape(B, G, R, T, K), k[:, :, None], v[:, :, None]
    w = _softmax((queries * factor) @ keys.swapaxes(-1, -2), mask)  # [B, G, R, T, S]
    kept = None if dropout_p == 0 else _kept(w, dropout_p, generator or np.random.default_rng())
    y = _side_by_side(B, G, R, T, v.shape[-1], q.dtype)
    np.matmul(w if kept is None else w * kept, values, out=y)
    return y.reshape(B, H, T, v.shape[-1]), _rules(queries, keys, values, w, kept, y, factor)


def _rules(
    queries: Array, keys: Array, values: Array, w: Array, kept: Array | None, y: Array, factor: Any
) -> tuple[Rule, Rule, Rule]:
    """Return the rules for q, k and v."""
    latest: list[Array] = []  # dy and dZ: computed once for the two rules that need it

    def scores_gradient(dy: Array) -> Array:
        if not latest or latest[0] is not dy:
            by_head = dy.reshape(y.shape)
            dz = by_head @ values.swapaxes(-1, -2)
            if kept is not None:
                dz *= kept
            dz -= np.einsum("bgrtk,bgrtk->bgrt", by_head, y)[..., None]
            dz *= w
            dz *= factor
            latest[:] = dy, dz
        return latest[1]

    def rule_q(dy: Array) -> Array:
        B, G, R, T, K = queries.shape
        dq = _side_by_side(B, G, R, T, K, y.dtype)
        np.matmul(scores_gradient(dy), keys, out=dq)
        return dq.reshape(B, G * R, T, K)

    def rule_k(dy: Array) -> Array:
        return _summed(scores_gradient(dy), queries)

    def rule_v(dy: Array) -> Array:
        return _summed(w if kept is None else w * kept, dy.reshape(y.shape))

    return rule_q, rule_k, rule_v


def _with_heads(*given: Array, **settings: Any) -> Result:
    """Return attention of arrays with fewer than four dimensions, by way of dimensions of size 1 in front."""
    missing = 4 - given[0].ndim
    y, rules = attention(*(a.reshape((1,) * missing + a.shape) for a in given), **settings)
    of_y, shapes = y.shape, [a.shape for a in given]

    def narrow(rule: Rule, shape: tuple[int, ...]) -> Rule:
        return lambda dy: rule(dy.reshape(of_y)).reshape(shape)

    pairs = zip(rules, shapes, strict=True)
    return y.reshape(of_y[missing:]), tuple(narrow(rule, shape) for rule, shape in pairs if rule is not None)


def _kept(w: Array, p: float, generator: np.random.Generator) -> Array:
    """Return 0 where a weight is dropped, and 1 / (1 - p) elsewhere."""
    stays = np.asarray(generator.random(w.shape, dtype=np.float32) >= p)
    return np.asarray(stays * w.dtype.type(1 / (1 - p) if p < 1 else 0))


def _softmax(z: Array, mask: Array | None) -> Array:
    """Return softmax over the last dimension, in the memory of z [B, G, R, T, S]; a row without any key is zeros."""
    if mask is not None:
        hidden = np.where(mask, z.dtype.type(0), z.dtype.type(-np.inf))
        if mask.ndim == 4:  # its heads are H or 1
            hidden = hidden.reshape(len(mask), *(z.shape[1:3] if mask.shape[1] > 1 else (1, 1)), *mask.shape[2:])
        z += hidden
    highest = z.max(-1, keepdims=True, initial=-np.inf)
    np.copyto(highest, 0, where=highest == -np.inf)  # nothing to attend to: each e^(-inf - 0) is 0
    with np.errstate(invalid="ignore"):
        z -= highest
        np.exp(z, out=z)
    total = z.sum(-1, keepdims=True)
    np.copyto(total, 1, where=total == 0)
    z /= total
    return z


def _summed(weights: Array, x: Array) -> Array:
    """Return weightsᵀ x, summed over the heads that share a head of keys: [B,G,R,T,S], [B,G,R,T,K] -> [B,G,S,K]."""
    B, G, R, _, K = x.shape
    out = _side_by_side(B, G, R, weights.shape[-1], K, x.dtype)
    np.matmul(weights.swapaxes(-1, -2), x, out=out)
    return out[:, :, 0] if R == 1 else out.sum(2)


def _side_by_side(B: int, G: int, R: int, T: int, K: int, dtype: "np.dtype[Any]") -> Array:
    """Return an empty [B, G, R, T, K] that lies in memory as [B, T, G, R, K]."""
    return np.empty((B, T, G, R, K), dtype).transpose(0, 2, 3, 1, 4)


def _check(q: Array, k: Array, v: Array, mask: Array | None) -> None:
    shapes = f"q {list(q.shape)}, k {list(k.shape)}, v {list(v.shape)}"
    if (
        not q.ndim == k.ndim == v.ndim == 4
        or k.shape[:3] != v.shape[:3]
        or (q.shape[0], q.shape[3]) != (k.shape[0], k.shape[3])
    ):
        raise ShapeError(f"attention: {shapes} do not fit; they must be [B, H, T, K], [B, G, S, K] and [B, G, S, any]")
    if k.shape[1] == 0 or q.shape[1] % k.shape[1]:
        raise ShapeError(f"attention: {shapes}: the heads of q must be a multiple of those of k and v")
    if not q.dtype == k.dtype == v.dtype or q.dtype.kind != "f":
        raise DTypeError(
            f"attention: q, k and v are {q.dtype}, {k.dtype}, {v.dtype}; they must be of one type of floats"
        )
    if mask is None:
        return
    if mask.dtype != np.bool_:
        raise DTypeError(f"attention: the mask is {mask.dtype}; it must be bool, True where a query may attend")
    scores = (*q.shape[:3], k.shape[2])
    padded = (1,) * (4 - mask.ndim) + mask.shape
    if len(padded) != 4 or any(size not in (1, wanted) for size, wanted in zip(padded, scores, strict=True)):
        raise ShapeError(f"attention: a mask {list(mask.shape)} does not broadcast to the scores {list(scores)}")
