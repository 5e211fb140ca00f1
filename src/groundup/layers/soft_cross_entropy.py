"""Soft targets: a whole distribution to learn at each position, kept as its largest entries and the mass of the rest.

Shapes: N positions, V vocabulary, K kept entries.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class SoftTargets:
    """A distribution over the vocabulary at each position: exact where K = V, else with the others in one bin."""

    ids: Tensor
    """The kept entries, int64 [N, K], no two of a row alike."""
    logprobs: Tensor
    """Logarithms of their probabilities and, in the last column, of what all others have together: [N, K + 1]. The last
    is -inf where there are no others."""

    def to(self, device: torch.device) -> "SoftTargets":
        """Return them on `device`."""
        return SoftTargets(self.ids.to(device, non_blocking=True), self.logprobs.to(device, non_blocking=True))


def keep_largest(logits: Tensor, top_k: int, *, temperature: float = 1.0) -> SoftTargets:
    """Return softmax(logits / temperature) as its `top_k` largest entries and the mass of the rest: [N, V] -> [N, K].

    Example:
        >>> kept = keep_largest(torch.tensor([[0.1, 0.6, 0.3]]).log(), top_k=1)
        >>> kept.ids.tolist(), [round(p, 6) for p in kept.logprobs.exp()[0].tolist()]
        ([[1]], [0.6, 0.4])
    """
    logprobs = _log_softmax(logits, temperature)
    largest, ids = logprobs.topk(top_k, dim=-1)  # [N, K]
    return SoftTargets(ids, torch.cat([largest, _rest(logprobs, ids)[:, None]], dim=-1))


def soft_cross_entropy(logits: Tensor, targets: SoftTargets, *, temperature: float = 1.0) -> Tensor:
    """Return -Σ q log p summed over positions, in nats: q the targets, p = softmax(logits / temperature).

    It is the divergence KL(q || p) and the entropy of q, which no p changes (Hinton et al. 2015, section 2). The others
    are one outcome for both, whose probability is the sum of theirs: p is told how much they have together and not how
    it is shared out, so at K = V the loss and its gradient are those of the whole distribution, and below K = V nothing
    pulls p away from it. Kept entries that were scaled up to sum to one would: the tail would be taught to vanish.

    Computed in float32 or better.

    Args:
        logits: the student's, [N, V].
        targets: at the same temperature.
        temperature: what the logits are divided by. The gradient shrinks with its square.

    Example:
        >>> logits, teacher = torch.randn(4, 9), torch.randn(4, 9)
        >>> whole = -(teacher.softmax(-1) * logits.log_softmax(-1)).sum()
        >>> torch.allclose(soft_cross_entropy(logits, keep_largest(teacher, 9)), whole)
        True
    """
    logprobs = _log_softmax(logits, temperature)
    of_kept = logprobs.gather(-1, targets.ids)  # [N, K]
    q = targets.logprobs.to(logprobs.dtype).exp()  # [N, K + 1]
    total = -(q[:, :-1] * of_kept).sum()
    if targets.ids.shape[-1] < logits.shape[-1]:
        total = total - (q[:, -1] * _rest(logprobs, targets.ids)).sum()
    return total


def entropy(targets: SoftTargets) -> Tensor:
    """Return -Σ q log q summed over positions, in nats: the least that `soft_cross_entropy` can be.

    Example:
        >>> entropy(keep_largest(torch.zeros(3, 2), 2)).item() == torch.tensor(2.0).log().item() * 3
        True
    """
    total: Tensor = torch.special.entr(targets.logprobs.exp()).sum()
    return total


def _log_softmax(logits: Tensor, temperature: float) -> Tensor:
    precise = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return (precise if temperature == 1 else precise / temperature).log_softmax(-1)


def _rest(logprobs: Tensor, ids: Tensor) -> Tensor:
    """Return the logarithm of what all but the entries `ids` have: [N]. Summed, for 1 - Σ would lose small ones."""
    return logprobs.scatter(-1, ids, -math.inf).logsumexp(-1)
