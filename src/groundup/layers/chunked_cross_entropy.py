"""Cross-entropy over a large vocabulary without its logits: made a block of rows at a time, and gone before the next.

Shapes: N targets, R rows of a block, D width, V vocabulary.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

NUMBERS_AT_ONCE = 1 << 24
"""Logits in one block: 64 MB in float32. Smaller blocks read and add to the [V, D] gradient too often; larger ones gain
nothing (50,257 × 128 and × 768, blocks of 64 to 512 rows: 256 were within 5 % of the best)."""
Rule = tuple[int, float]
"""The target that counts for nothing, and the part of each other that is spread over all tokens."""


# A compiled step calls it as it is: there is little to fuse, and the blocks would be unrolled.
@torch.compiler.disable  # type: ignore[untyped-decorator]
def chunked_cross_entropy(
    hidden: Tensor, weight: Tensor, targets: Tensor, *, ignore_index: int = -100, label_smoothing: float = 0.0
) -> Tensor:
    """Return the cross-entropy of the logits hidden · weightᵀ summed over all targets: F.cross_entropy in less memory.

    The gradient of cross-entropy is softmax minus one-hot (Bridle 1990), known as soon as the logits are. So each block
    of rows gives its share of the loss and of both gradients in the forward pass, and its logits are overwritten by
    those of the next; the backward pass multiplies by a scalar. Logits take the same memory for any N and V, and no
    product is computed twice. Liger Kernel (Hsu et al. 2024) computes in the same order.

    Products have the precision that F.linear would have here (autocast's, inside it); softmax, logarithms and the sums
    of the loss and of weight's gradient over blocks are float32 or better. A second backward pass through the same loss
    computes all anew. Gradients of gradients are refused.

    Args:
        hidden: what the output matrix reads, [N, D].
        weight: the output matrix, [V, D].
        targets: int64 [N], each below V.
        ignore_index: targets with this number count for nothing.
        label_smoothing: part ε of each target that is spread over all V tokens (Szegedy et al. 2016, section 7): the
            loss of a target is (1 - ε) of its own and ε of the mean over all tokens, as in F.cross_entropy.

    Returns:
        A scalar in float32, or in float64 for float64 products.

    Example:
        >>> hidden, weight, targets = torch.randn(6, 4), torch.randn(9, 4), torch.arange(6)
        >>> expected = torch.nn.functional.cross_entropy(hidden @ weight.T, targets, reduction="sum")
        >>> torch.allclose(chunked_cross_entropy(hidden, weight, targets), expected)
        True
    """
    kind = hidden.device.type
    is_cast = torch.is_autocast_enabled(kind) and hidden.dtype != torch.float64  # autocast leaves float64 alone
    product = torch.get_autocast_dtype(kind) if is_cast else hidden.dtype
    total: Tensor = _ChunkedCrossEntropy.apply(hidden, weight, targets, (ignore_index, label_smoothing), product)  # type: ignore[no-untyped-call]
    return total


class _ChunkedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - autograd's context
        hidden: Tensor,
        weight: Tensor,
        targets: Tensor,
        rule: Rule,
        product: torch.dtype,
    ) -> Tensor:
        ctx.save_for_backward(hidden, weight, targets)
        ctx.rule, ctx.product = rule, product
        wanted = ctx.needs_input_grad[0], ctx.needs_input_grad[1]
        total, *ctx.gradients = _blocks(hidden, weight, targets, rule, product, wanted)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, scale: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401 - autograd's context
        if ctx.gradients is None:  # given away by an earlier backward pass
            wanted = ctx.needs_input_grad[0], ctx.needs_input_grad[1]
            hidden, weight, targets = ctx.saved_tensors
            _, *ctx.gradients = _blocks(hidden, weight, targets, ctx.rule, ctx.product, wanted)
        # In place: weight's gradient is as large as the weight, and a second copy would be the peak of the whole step.
        found = [None if gradient is None else gradient.mul_(scale) for gradient in ctx.gradients]
        ctx.gradients = None
        return *found, None, None, None


def _blocks(
    hidden: Tensor,
    weight: Tensor,
    targets: Tensor,
    rule: Rule,
    product: torch.dtype,
    wanted: tuple[bool, bool],
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Return the loss and the gradients of `hidden` and `weight`, each None where not wanted."""
    (N, D), V = hidden.shape, weight.shape[0]
    R = _rows(N, V)
    precise = torch.promote_types(product, torch.float32)
    total = hidden.new_zeros((), dtype=precise)
    d_hidden = torch.empty_like(hidden) if wanted[0] else None
    d_weight = weight.new_empty((V, D), dtype=precise) if wanted[1] else None
    # The blocks take turns in the same memory: pages that are new to the process cost more than the arithmetic on them.
    logits = hidden.new_empty((R, V), dtype=product)
    errors = logits if product == precise else hidden.new_empty((R, V), dtype=precise)
    with torch.autocast(hidden.device.type, enabled=False), torch.no_grad():
        x_all, w = hidden.to(product), weight.to(product)
        for start in range(0, N, R):
            rows = slice(start, min(start + R, N))
            x = x_all[rows]
            z = torch.mm(x, w.t(), out=logits[: len(x)])  # [R, V]
            error = z if errors is logits else errors[: len(x)].copy_(z)
            total += _loss_and_error(error, targets[rows], rule, wants_error=any(wanted))
            g = z if errors is logits else z.copy_(error)
            if d_hidden is not None:
                torch.mm(g, w, out=d_hidden[rows]) if d_hidden.dtype == product else d_hidden[rows].copy_(g @ w)
            if d_weight is not None and d_weight.dtype == product:
                torch.addmm(d_weight, g.t(), x, beta=min(start, 1), out=d_weight)
            elif d_weight is not None:
                (d_weight.add_ if start else d_weight.copy_)(g.t() @ x)
    return total, d_hidden, None if d_weight is None else d_weight.to(weight.dtype)


def _loss_and_error(z: Tensor, targets: Tensor, rule: Rule, *, wants_error: bool) -> Tensor:
    """Return the summed cross-entropy of logits z [R, V]; in their place leave its gradient: softmax minus one-hot."""
    ignore_index, smoothing = rule
    counts = (targets != ignore_index)[:, None]
    places = torch.where(counts, targets[:, None], 0)  # [R, 1]
    largest = z.amax(-1, keepdim=True)
    of_target = z.gather(1, places)
    if smoothing:
        of_target = (1 - smoothing) * of_target + smoothing * z.mean(-1, keepdim=True)
    z.sub_(largest).exp_()
    sums = z.sum(-1, keepdim=True)
    losses = sums.log() + largest - of_target
    if wants_error:
        z.mul_(counts / sums)
        number = counts.to(z.dtype)
        if smoothing:  # the target's distribution, one-hot without it, is spread
            z.sub_(number, alpha=smoothing / z.shape[1])
        z.scatter_(1, places, z.gather(1, places) - (1 - smoothing) * number)
    return torch.where(counts, losses, 0).sum()


def _rows(N: int, V: int) -> int:
    """Return how many rows a block has: about as many in each, and at most NUMBERS_AT_ONCE logits where one row fits.

    Example:
        >>> _rows(1_024, 50_257), _rows(8, 65)
        (256, 8)
    """
    n_blocks = max(1, min(N, -(-N * V // NUMBERS_AT_ONCE)))
    return -(-N // n_blocks)
