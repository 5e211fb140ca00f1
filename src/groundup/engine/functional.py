"""Functions of tensors that models are made of: activations, norms, layers without state, attention and losses.

Names, arguments and their order are those of torch.nn.functional. The mathematics, forward and backward, stands with
the operations in ops/. Shapes: B batch, T query and S key positions, H heads, K head width, N rows, C classes.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from groundup.engine.autograd import apply
from groundup.engine.dtypes import is_floating
from groundup.engine.errors import DTypeError, ShapeError, not_tensors
from groundup.engine.ops import activation, convolution, indexing, normalization, pooling
from groundup.engine.ops import attention as attending
from groundup.engine.ops import cross_entropy as entropy
from groundup.engine.ops import dropout as dropping
from groundup.engine.ops import linear as linear_map
from groundup.engine.ops import losses as pairwise
from groundup.engine.ops.losses import Reduction
from groundup.engine.ops.rules import Array
from groundup.engine.ops.windows import Pair
from groundup.engine.pointwise import relu as relu
from groundup.engine.pointwise import sigmoid as sigmoid
from groundup.engine.pointwise import tanh as tanh
from groundup.engine.random import Generator, default_generator
from groundup.engine.reductions import log_softmax as log_softmax
from groundup.engine.reductions import softmax as softmax
from groundup.engine.shaping import pad as pad
from groundup.engine.tensor import Tensor


def silu(input: Tensor) -> Tensor:
    """Return x · sigmoid(x).

    Example:
        >>> round(silu(Tensor(1.0)).item(), 4)
        0.7311
    """
    return apply(activation.silu, _floats("silu", input))


def gelu(input: Tensor, approximate: Literal["none", "tanh"] = "none") -> Tensor:
    """Return x Φ(x), Φ the normal distribution function; "tanh": the form that GPT-2 was trained with.

    Example:
        >>> round(gelu(Tensor(1.0)).item(), 4), round(gelu(Tensor(1.0), approximate="tanh").item(), 4)
        (0.8413, 0.8412)
    """
    if approximate not in ("none", "tanh"):
        raise ValueError(f"gelu: approximate is {approximate!r}; it must be 'none' or 'tanh'")
    return apply(activation.gelu if approximate == "none" else activation.gelu_tanh, _floats("gelu", input))


def layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Return (x - mean) / √(variance + eps) · weight + bias, statistics over the last dimensions.

    Input is [..., *normalized_shape], weight and bias are [*normalized_shape]; the variance is divided by the count.

    Example:
        >>> layer_norm(Tensor([1.0, 3.0]), [2], eps=0.0).tolist()
        [-1.0, 1.0]
    """
    n_dims = _fits("layer_norm", input, normalized_shape)
    if weight is None:
        y = apply(normalization.layer_norm, input, n_dims=n_dims, eps=eps)
        return y if bias is None else y + bias
    return apply(
        normalization.layer_norm, input, *((weight,) if bias is None else (weight, bias)), n_dims=n_dims, eps=eps
    )


def rms_norm(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """Return x / √(mean(x²) + eps) · weight over the last dimensions; eps=None: the type's step at 1, as in torch.

    Example:
        >>> rms_norm(Tensor([3.0, -3.0]), [2], eps=0.0).tolist()
        [1.0, -1.0]
    """
    n_dims = _fits("rms_norm", input, normalized_shape)
    eps = float(np.finfo(input.dtype).eps) if eps is None else eps
    return apply(normalization.rms_norm, input, *(() if weight is None else (weight,)), n_dims=n_dims, eps=eps)


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return x Wᵀ + b: x [..., in], weight [out, in], bias [out] -> [..., out].

    Example:
        >>> linear(Tensor([[1.0, 2.0]]), Tensor([[3.0, 4.0]]), Tensor([0.5])).tolist()
        [[11.5]]
    """
    return apply(linear_map.linear, input, weight, *(() if bias is None else (bias,)))


def embedding(input: Tensor | Array, weight: Tensor, padding_idx: int | None = None) -> Tensor:
    """Return the rows of weight [V, D] that the ids [...] name: [..., D]; the row `padding_idx` gets no gradient.

    Example:
        >>> embedding(Tensor([1, 1]), Tensor([[0.0], [5.0]])).tolist()
        [[5.0], [5.0]]
    """
    return apply(indexing.embedding, weight, ids=_plain("embedding", input), padding_idx=padding_idx)


def dropout(input: Tensor, p: float = 0.5, training: bool = True, generator: Generator | None = None) -> Tensor:
    """Return x with numbers zeroed with probability p and the others divided by 1 - p; x itself unless `training`.

    The choice comes from `generator`, by default the engine's, see `manual_seed`.

    Example:
        >>> sorted(set(dropout(Tensor([1.0] * 100), p=0.75).tolist()))
        [0.0, 4.0]
    """
    if not 0 <= p <= 1:
        raise ValueError(f"dropout: p is {p}; it must be a probability, from 0 to 1")
    if not training or p == 0:
        return input
    return apply(dropping.dropout, input, p=p, generator=(generator or default_generator).numbers)


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    dilation: int | Pair = 1,
) -> Tensor:
    """Return images [B, C, H, W] crossed with kernels [O, C, kh, kw], plus bias [O]: [B, O, OH, OW].

    Example:
        >>> conv2d(Tensor([[[[1.0, 2.0]]]]), Tensor([[[[1.0, 1.0]]]])).item()
        3.0
    """
    given = () if bias is None else (bias,)
    return apply(convolution.conv2d, input, weight, *given, stride=stride, padding=padding, dilation=dilation)


def max_pool2d(
    input: Tensor, kernel_size: int | Pair, stride: int | Pair | None = None, padding: int | Pair = 0
) -> Tensor:
    """Return the largest number of each window: [B, C, H, W] -> [B, C, OH, OW]; stride=None: windows side by side.

    Example:
        >>> max_pool2d(Tensor([[[[1.0, 2.0], [3.0, 4.0]]]]), 2).tolist()
        [[[[4.0]]]]
    """
    return apply(pooling.max_pool2d, input, kernel_size=kernel_size, stride=stride, padding=padding)


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | Array | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    generator: Generator | None = None,
) -> Tensor:
    """Return softmax(scale · q kᵀ) v: q [B, H, T, K], k and v [B, G, S, K] -> [B, H, T, K].

    A query that may attend to nothing gives zeros; torch gives nan there.

    Args:
        query: of H heads.
        key: of G heads, each serving H/G heads of queries in a row; usually G = H.
        value: as key.
        attn_mask: booleans that broadcast to [B, H, T, S]; True = may attend.
        dropout_p: probability with which a weight is set to 0; applied always, so pass 0 when not training.
        is_causal: query t attends to keys 0 … t only, and where the mask allows it as well.
        scale: by default 1/√K.
        generator: for dropout; by default the engine's.

    Example:
        >>> q = k = Tensor([[0.0], [0.0]])  # one head of one row
        >>> scaled_dot_product_attention(q, k, Tensor([[2.0], [4.0]]), is_causal=True).tolist()
        [[2.0], [3.0]]
    """
    if not 0 <= dropout_p <= 1:
        raise ValueError(f"scaled_dot_product_attention: dropout_p is {dropout_p}; it must be from 0 to 1")
    return apply(
        attending.attention,
        query,
        key,
        value,
        scale=scale,
        mask=None if attn_mask is None else _plain("attn_mask", attn_mask),
        is_causal=is_causal,
        dropout_p=dropout_p,
        generator=(generator or default_generator).numbers,
    )


def cross_entropy(
    input: Tensor, target: Tensor | Array, ignore_index: int = -100, reduction: Reduction = "mean"
) -> Tensor:
    """Return -ln softmax(logits)[target]: logits [N, C], targets [N] -> their mean, sum, or [N] for "none".

    Rows whose target is `ignore_index` count for nothing, also in the mean. Logits [B, T, C] are flattened by the
    caller: `cross_entropy(logits.reshape(-1, C), targets.reshape(-1))`.

    Example:
        >>> round(cross_entropy(Tensor([[0.0, 0.0]]), Tensor([1])).item(), 4)  # ln 2
        0.6931
    """
    of_rows = _plain("cross_entropy", target)
    return apply(entropy.cross_entropy, input, target=of_rows, ignore_index=ignore_index, reduction=reduction)


def nll_loss(input: Tensor, target: Tensor | Array, ignore_index: int = -100, reduction: Reduction = "mean") -> Tensor:
    """Return -log_probs[target], the cross-entropy of log-probabilities [N, C] and targets [N].

    Example:
        >>> nll_loss(Tensor([[-1.0, -2.0]]), Tensor([1])).item()
        2.0
    """
    of_rows = _plain("nll_loss", target)
    return apply(entropy.nll_loss, input, target=of_rows, ignore_index=ignore_index, reduction=reduction)


def mse_loss(input: Tensor, target: Tensor, reduction: Reduction = "mean") -> Tensor:
    """Return the mean of (input - target)², two tensors of one shape.

    Example:
        >>> mse_loss(Tensor([1.0, 5.0]), Tensor([1.0, 2.0])).item()
        4.5
    """
    return apply(pairwise.mse_loss, input, target, reduction=reduction)


def binary_cross_entropy_with_logits(input: Tensor, target: Tensor, reduction: Reduction = "mean") -> Tensor:
    """Return the mean of -t ln σ(x) - (1 - t) ln(1 - σ(x)), σ the sigmoid, x the input and t the target in [0, 1].

    Example:
        >>> round(binary_cross_entropy_with_logits(Tensor([0.0]), Tensor([1.0])).item(), 4)  # ln 2
        0.6931
    """
    return apply(pairwise.binary_cross_entropy_with_logits, input, target, reduction=reduction)


def _floats(op: str, x: Tensor) -> Tensor:
    if not isinstance(x, Tensor):
        raise DTypeError(not_tensors(op, x))
    if not is_floating(x.dtype):
        raise DTypeError(f"{op}: a tensor of {x.dtype}; it must hold floats: convert it with .float()")
    return x


def _plain(op: str, x: Tensor | Array) -> Array:
    if not isinstance(x, Tensor | np.ndarray):
        raise DTypeError(not_tensors(op, x))
    return x.data if isinstance(x, Tensor) else x


def _fits(op: str, x: Tensor, shape: Sequence[int]) -> int:
    """Return how many dimensions `shape` has, having checked that x [..., *shape] holds floats and ends in it."""
    _floats(op, x)
    if not isinstance(shape, Sequence):
        raise ShapeError(f"{op}: normalized_shape is {shape!r}; give the last sizes of x as a tuple or list")
    if not shape or x.shape[-len(shape) :] != tuple(shape):
        raise ShapeError(f"{op}: x {list(x.shape)} must end in normalized_shape {list(shape)}, of at least one size")
    return len(shape)
