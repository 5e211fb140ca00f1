"""Cross-entropy of chosen positions: their hidden states alone are projected, for the others nobody asked.

Shapes: N targets, D width, V vocabulary.
"""

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from groundup.layers.chunked_cross_entropy import chunked_cross_entropy
from groundup.models.gpt import GPT
from groundup.tasks.language_modeling import LOGITS_IN_A_STEP


def summed_loss(model: GPT, hidden: Tensor, targets: Tensor) -> Tensor:
    """Return the cross-entropy of `targets` [N] given the hidden states before them [N, D], summed: a scalar.

    Above LOGITS_IN_A_STEP logits it is computed by blocks and never holds all of them.

    Example:
        >>> from groundup.configs.model import GPTConfig
        >>> model = GPT(GPTConfig(vocab_size=10, context_length=8, d_model=16, n_layers=1, n_heads=2))
        >>> bool(summed_loss(model, torch.zeros(3, 16), torch.tensor([1, 2, 3])) == 3 * torch.tensor(10.0).log())
        True
    """
    if targets.numel() * model.vocab_size > LOGITS_IN_A_STEP:
        total: Tensor = chunked_cross_entropy(hidden, model.output_weight, targets)
        return total
    return _losses(model, hidden, targets).sum()


def token_losses(model: GPT, hidden: Tensor, targets: Tensor) -> Tensor:
    """Return the cross-entropy of each of `targets` [N] given the hidden states before them [N, D]: [N].

    With many logits they are made a block at a time, and made again in the backward pass: what each target's gradient
    is multiplied by is known only then.
    """
    n_blocks = -(-targets.numel() * model.vocab_size // LOGITS_IN_A_STEP)
    if n_blocks <= 1 or not torch.is_grad_enabled():
        parts = [_losses(model, h, t) for h, t in zip(hidden.chunk(n_blocks), targets.chunk(n_blocks), strict=True)]
        return torch.cat(parts)
    parts = [
        checkpoint(_losses, model, h, t, use_reentrant=False, preserve_rng_state=False)
        for h, t in zip(hidden.chunk(n_blocks), targets.chunk(n_blocks), strict=True)
    ]
    return torch.cat(parts)


def _losses(model: GPT, hidden: Tensor, targets: Tensor) -> Tensor:
    logits = model.project(hidden)  # [N, V]
    return F.cross_entropy(logits.to(torch.promote_types(logits.dtype, torch.float32)), targets, reduction="none")
