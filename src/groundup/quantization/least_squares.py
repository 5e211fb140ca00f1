"""Scales and minimums fitted to the weights by least squares, without a text.

Sought is what differs least from the weights w of a group, by Σ (w - ŵ)². Take turns:

    q = the step nearest to each w, for fixed scale s and minimum m;
    s, m = argmin Σ (w - s q - m)², for fixed q: a line through the points (q, w),
           s = cov(q, w) / var(q) and m = mean(w) - s mean(q).

Neither turn makes the sum larger, so they come to rest, but at the next valley: what rests depends on where they began.
So they begin from the ends of the group, and from ranges that leave out a little at both, for clipping one far number
can give fourteen others finer steps; each group keeps the best of all that were seen (llama.cpp's make_qkx2_quants
searches alike). Errors may be weighted: means, variance and covariance are then.

Badri & Shaji 2023 (Half-Quadratic Quantization) minimize |w - ŵ|^p with p = 0.7 instead, for the sake of numbers far
off: a shrunk auxiliary takes the errors' part, and the minimum alone moves, for fixed scales. Errors relative to the
weights, by p = 2 and by p = 0.7, of feed_forward.down of SmolLM2's block 11 (columns in another order, group 32):
rounding 0.0810 and 0.0770, half-quadratic 0.0769 and 0.0732 (20 turns, beta 100, the best of 10, 100 and 1,000), this
0.0741 and 0.0729. It fits scales too, and takes a quarter of the time. On two other matrices of feed-forward it is
ahead by as much; on queries of block 0 by p = 2 alone, and behind by 0.7 % by p = 0.7.
Shapes: G groups (any leading axes).
"""

import torch
from torch import Tensor

from groundup.quantization.int4 import HIGHEST, Int4, between_ends, nearest, quantize_int4

SHARES = (1.0, 0.95, 0.9, 0.85, 0.8)
"""Parts of a group's range from which the fits begin."""
TURNS = 2
"""Fits from each beginning."""


def quantize_fitted(weight: Tensor, *, group_size: int) -> Int4:
    """Return `weight` [O, I] in 4 bits, with the scales and minimums of `least_squares`.

    Raises:
        InputError: as `quantize_int4` says.

    Example:
        >>> x = torch.randn(8, 64, generator=torch.Generator().manual_seed(0))
        >>> rounded, fitted = quantize_int4(x, group_size=32), quantize_fitted(x, group_size=32)
        >>> (fitted.dequantized() - x).norm().item() < 0.95 * (rounded.dequantized() - x).norm().item()
        True
    """
    return quantize_int4(weight, group_size=group_size, fit=least_squares)


def least_squares(groups: Tensor, importance: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Return scale and minimum of each group, of those that are tried, with the least squared error.

    Args:
        groups: float32 [..., group].
        importance: what each squared error is multiplied by, positive: [..., group] or what broadcasts to it. None: 1.

    Returns:
        float16 [...] and [...]. Never worse than `between_ends`, with which it begins.

    Example:
        >>> scale, minimum = least_squares(torch.tensor([[0.0, 1.0, 2.0, 15.0]]))
        >>> scale.item(), minimum.item()
        (1.0, 0.0)
    """
    low, high = groups.aminmax(dim=-1)
    middle = (low + high) / 2
    share_of = torch.ones_like(groups[..., :1]) if importance is None else importance
    share_of = share_of / share_of.expand_as(groups).sum(-1, keepdim=True)  # they add up to 1 over a group
    scale, minimum = between_ends(groups)
    is_kept = scale.isfinite() & minimum.isfinite()  # else whoever asked is told, and nothing is clipped to fit float16
    best = (torch.where(is_kept, torch.inf, -torch.inf), scale, minimum)
    for share in SHARES:
        if share < 1:
            width = (high - low) * (share / HIGHEST)
            scale, minimum = width.half(), (middle - HIGHEST / 2 * width).half()
        for turn in range(TURNS + 1):
            q = nearest(groups, scale, minimum)
            error = _squared_error(groups, share_of, q, scale, minimum)
            is_better = error < best[0]
            found = (error, scale, minimum)
            error, *fit = (torch.where(is_better, new, old) for new, old in zip(found, best, strict=True))
            best = (error, fit[0], fit[1])
            if turn < TURNS:
                scale, minimum = _line(groups, share_of, q)
    return best[1], best[2]


def _squared_error(groups: Tensor, share_of: Tensor, q: Tensor, scale: Tensor, minimum: Tensor) -> Tensor:
    """Return Σ h (w - s q - m)² over each group, for shares h: [...]."""
    shifted = groups - minimum.float()[..., None]
    return shifted.addcmul_(q, scale.float()[..., None], value=-1).square_().mul_(share_of).sum(-1)


def _line(groups: Tensor, share_of: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
    """Return s and m of the line through (q, w) of each group, for shares h: float16 [...] and [...]."""
    mean, mean_q = ((part * share_of).sum(-1) for part in (groups, q))
    away = q - mean_q[..., None]
    shared = away * share_of
    variance = away.mul_(shared).sum(-1)
    scale = (shared.mul_(groups).sum(-1) / torch.where(variance == 0, 1.0, variance)).half()
    return scale, (mean - scale.float() * mean_q).half()
