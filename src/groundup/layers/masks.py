"""Boolean masks that say which keys each query may attend to: True = may attend.

Shapes: B batch, H heads, T query positions, S key positions. Every mask broadcasts to the scores [B, H, T, S].
"""

import torch
from torch import Tensor


def causal_mask(
    T: int, S: int | None = None, *, offset: int | Tensor | None = None, device: torch.device | str | None = None
) -> Tensor:
    """Return the mask that hides the future: query t may attend to the keys at or before its own position.

    Args:
        T: number of queries.
        S: number of keys; None means as many as queries.
        offset: position of the first query. None: S - T, so that the last query sees every key (what a cache needs).
            A tensor [B] gives each row of the batch a position of its own.
        device: where to build it.

    Returns:
        Boolean [T, S], or [B, 1, T, S] if `offset` is a tensor.

    Example:
        >>> causal_mask(2, 3).int().tolist()  # two new tokens after one that is already cached
        [[1, 1, 0], [1, 1, 1]]
    """
    S = T if S is None else S
    offset = S - T if offset is None else offset
    if isinstance(offset, Tensor):
        device = offset.device
        offset = offset[:, None, None, None]  # [B, 1, 1, 1]
    positions = torch.arange(T, device=device)[:, None] + offset  # [T, 1] or [B, 1, T, 1]
    return torch.arange(S, device=device) <= positions  # [T, S] or [B, 1, T, S]


def padding_mask(lengths: Tensor, S: int) -> Tensor:
    """Return the mask [B, 1, 1, S] that hides the padding behind the first `lengths[b]` keys of row b.

    Example:
        >>> padding_mask(torch.tensor([1, 3]), 3).int()[:, 0, 0].tolist()
        [[1, 0, 0], [1, 1, 1]]
    """
    return torch.arange(S, device=lengths.device) < lengths[:, None, None, None]


def segment_mask(segments: Tensor) -> Tensor:
    """Return the mask [B, 1, T, T] that keeps attention inside a segment: positions with the same number.

    Args:
        segments: what each position belongs to, in any numbers [B, T].

    Example:
        >>> segment_mask(torch.tensor([[1, 2, 2]])).int()[0, 0].tolist()
        [[1, 0, 0], [0, 1, 1], [0, 1, 1]]
    """
    return (segments[:, :, None] == segments[:, None, :])[:, None]  # [B, 1, T, T]


def document_mask(tokens: Tensor, end_id: int) -> Tensor:
    """Return the mask [B, 1, T, T] that keeps attention inside a document: each begins with the token `end_id`.

    Documents that share a window by chance tell nothing about each other; without the mask a model must first learn
    to ignore what lies before the last `end_id` (Dubey et al. 2024, The Llama 3 Herd of Models, section 3.2).

    Args:
        tokens: ids [B, T].
        end_id: the token before each document.

    Example:
        >>> document_mask(torch.tensor([[5, 0, 7]]), end_id=0).int()[0, 0].tolist()
        [[1, 0, 0], [0, 1, 1], [0, 1, 1]]
    """
    return segment_mask((tokens == end_id).cumsum(1))  # numbered by how many documents have begun


def combine_masks(*masks: Tensor | None) -> Tensor | None:
    """Return the mask that allows what every given mask allows; None stands for "everything is allowed".

    Example:
        >>> both = combine_masks(causal_mask(2), None, padding_mask(torch.tensor([1]), 2))
        >>> both.int().tolist()
        [[[[1, 0], [1, 0]]]]
    """
    combined: Tensor | None = None
    for mask in masks:
        if mask is not None:
            combined = mask if combined is None else combined & mask
    return combined


def pass_mask(
    T: int, S: int, offset: int | Tensor, mask: Tensor | None, device: torch.device
) -> tuple[Tensor | None, bool]:
    """Return (mask, is_causal) for all layers of a pass over T tokens behind S - T held ones.

    A mask is built only where the kernel's own causality is not enough.

    Example:
        >>> pass_mask(2, 2, 0, None, torch.device("cpu"))
        (None, True)
    """
    if isinstance(offset, int) and (T == S or (mask is None and (offset == 0 or T == 1))):
        return mask, True
    return combine_masks(causal_mask(T, S, offset=offset, device=device), mask), False


def mask_at(only: Tensor, S: int, offset: int | Tensor, mask: Tensor | None, *, is_causal: bool) -> Tensor | None:
    """Return the rows of the mask, [B, 1, 1, S], of one query in each row of the batch; causality is in it.

    Example:
        >>> mask_at(torch.tensor([0, 1]), 2, 0, None, is_causal=True).int()[:, 0, 0].tolist()
        [[1, 0], [1, 1]]
    """
    if mask is not None and mask.shape[-2] > 1:
        mask = mask if mask.ndim == 4 else mask.expand(len(only), 1, *mask.shape[-2:])
        mask = torch.take_along_dim(mask, only[:, None, None, None], dim=2)
    return combine_masks(causal_mask(1, S, offset=only + offset) if is_causal else None, mask)
