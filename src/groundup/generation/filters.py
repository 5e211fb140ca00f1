"""Filters that look at one next-token distribution alone: logits in, new logits out, removed tokens at -inf.

Each keeps at least one token. Shapes: B rows, V vocabulary.
"""

import math

import numpy as np
import torch
from torch import Tensor


def temperature(logits: Tensor, t: float) -> Tensor:
    """Divide logits [B, V] by `t` > 0: below 1 the distribution is sharper, above 1 flatter.

    Raises:
        ValueError: when `t` is not above 0.

    Example:
        >>> temperature(torch.tensor([[1.0, 2.0]]), 0.5).tolist()
        [[2.0, 4.0]]
    """
    if t <= 0:
        raise ValueError(f"temperature must be above 0, found {t}")
    return logits / max(t, torch.finfo(logits.dtype).tiny)  # a smaller t would round to 0


def top_k(logits: Tensor, k: int) -> Tensor:
    """Keep the `k` largest logits of each row of [B, V] (Fan et al. 2018, section 5).

    Tokens that tie with the k-th all stay; a `k` beyond the vocabulary keeps everything.

    Raises:
        ValueError: when `k` is below 1.

    Example:
        >>> top_k(torch.tensor([[1.0, 3.0, 2.0]]), 2).tolist()
        [[-inf, 3.0, 2.0]]
    """
    if k < 1:
        raise ValueError(f"top_k must be at least 1, found {k}")
    smallest_kept = logits.topk(min(k, logits.shape[-1]), dim=-1).values[..., -1:]  # [B, 1]
    return logits.masked_fill(logits < smallest_kept, -torch.inf)


def top_p(logits: Tensor, p: float) -> Tensor:
    """Keep the fewest most likely tokens of each row of [B, V] whose probabilities reach `p` (Holtzman et al. 2020, eq. 2).

    The most likely token always stays. Among equal logits at the edge, those of larger id stay.

    Raises:
        ValueError: when `p` is outside (0, 1].

    Example:
        >>> top_p(torch.tensor([[0.5, 0.3, 0.2]]).log(), 0.7).isfinite().tolist()  # 0.5 alone does not reach 0.7
        [[True, True, False]]
    """  # noqa: E501 - the source belongs to the first sentence
    if not 0 < p <= 1:
        raise ValueError(f"top_p must be in (0, 1], found {p}")
    ascending = _sorted(logits)  # [B, V]
    # Summing from the least likely adds small numbers first, which rounds least where the cut is decided.
    tail = ascending.softmax(dim=-1).cumsum(dim=-1)  # [B, V]: this token and all less likely ones
    # At most V - 1: rounding must never remove everything.
    n_dropped = (tail <= 1 - p).sum(dim=-1, keepdim=True).clamp(max=logits.shape[-1] - 1)  # [B, 1]
    edge = ascending.gather(-1, n_dropped)  # [B, 1]: the least likely that stays
    dropped, ties = logits < edge, logits == edge
    n_ties_dropped = n_dropped - dropped.sum(dim=-1, keepdim=True)
    dropped |= ties & (ties.cumsum(dim=-1) <= n_ties_dropped)
    return logits.masked_fill(dropped, -torch.inf)


def min_p(logits: Tensor, p: float) -> Tensor:
    """Keep the tokens of each row of [B, V] at least `p` times as likely as the likeliest (Nguyen et al. 2024, section 3).

    So few stay where the model is sure and many where it is not. A ratio of probabilities is a difference of logits:
    no softmax is needed.

    Raises:
        ValueError: when `p` is outside (0, 1].

    Example:
        >>> min_p(torch.tensor([[0.6, 0.3, 0.1]]).log(), 0.4).isfinite().tolist()  # at least 0.4 · 0.6 = 0.24
        [[True, True, False]]
    """  # noqa: E501 - the source belongs to the first sentence
    if not 0 < p <= 1:
        raise ValueError(f"min_p must be in (0, 1], found {p}")
    return logits.masked_fill(logits < logits.amax(dim=-1, keepdim=True) + math.log(p), -torch.inf)


def typical_p(logits: Tensor, p: float) -> Tensor:
    """Keep the tokens of each row of [B, V] whose surprise is nearest the expected one (Meister et al. 2023, section 4).

    Surprise is -log of the probability, and its mean over the row is the entropy. By distance from it, the fewest tokens
    whose probabilities reach `p` stay, and those at the distance of the last. The likeliest token may go.

    Raises:
        ValueError: when `p` is outside (0, 1).

    Example:
        >>> typical_p(torch.tensor([[0.9, 0.06, 0.04]]).log(), 0.5).isfinite().tolist()  # entropy 0.39; surprise 0.11
        [[True, False, False]]
        >>> typical_p(torch.tensor([[0.4] + [0.05] * 12]).log(), 0.5).isfinite().tolist()[0][:2]  # 2.16; 0.92, 3.00
        [False, True]
    """  # noqa: E501 - the source belongs to the first sentence
    if not 0 < p < 1:
        raise ValueError(f"typical_p must be in (0, 1), found {p}")
    logprobs = logits.log_softmax(dim=-1)  # [B, V]
    probabilities = logprobs.exp()
    entropy = -(probabilities * logprobs).nansum(dim=-1, keepdim=True)  # [B, 1]; 0 · -inf is nan, and counts 0
    distance = (logprobs + entropy).abs()  # [B, V]
    order = _order(distance)  # any order will do among equal distances, which stay or go together
    reached = probabilities.gather(-1, order).cumsum(dim=-1)
    last = (reached < p).sum(dim=-1, keepdim=True).clamp(max=logits.shape[-1] - 1)  # rounding may keep the sum below p
    return logits.masked_fill(distance > distance.gather(-1, order.gather(-1, last)), -torch.inf)


# NumPy's sort is vectorized, torch's on a CPU is not: of 49,152 numbers 0.25 ms beside 4.4, of their places 1.5 ms.


def _sorted(values: Tensor) -> Tensor:
    """Return each row of [B, V] in ascending order."""
    if not _is_for_numpy(values):
        return values.sort(dim=-1).values
    return torch.from_numpy(np.sort(values.detach().numpy(), axis=-1))


def _order(values: Tensor) -> Tensor:
    """Return the places of each row of [B, V] in ascending order of their values."""
    if not _is_for_numpy(values):
        return values.argsort(dim=-1)
    return torch.from_numpy(np.argsort(values.detach().numpy(), axis=-1))


def _is_for_numpy(values: Tensor) -> bool:
    return values.device.type == "cpu" and values.dtype in (torch.float32, torch.float64)  # it has no bfloat16
