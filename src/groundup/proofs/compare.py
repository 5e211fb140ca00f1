"""The largest difference between two computations: of their values, and of their gradients."""

import math
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn


def largest(differences: Iterable[float]) -> float:
    """Return the largest difference; infinity if any is NaN, which `max` would pass over.

    Raises:
        ValueError: nothing was compared, which proves nothing.

    Example:
        >>> largest([0.0, math.nan])
        inf
    """
    return max(math.inf if math.isnan(difference) else difference for difference in differences)


def apart(ours: Tensor | None, theirs: Tensor | None) -> float:
    """Return max |ours - theirs|; infinity if the shapes differ, if either is None, or if a difference is NaN.

    None is the gradient of what one side did not use.

    Example:
        >>> apart(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 2.5]))
        0.5
    """
    if ours is None or theirs is None or ours.shape != theirs.shape:
        return math.inf
    return largest([float((ours - theirs).abs().max())]) if ours.numel() else 0.0


def values_and_gradients_apart(
    ours: Callable[..., Tensor],
    theirs: Callable[..., Tensor],
    inputs: Sequence[Tensor],
    gradients: Callable[[], Iterable[tuple[Tensor | None, Tensor | None]]] = tuple,
) -> float:
    """Return the largest difference of outputs, of gradients of `inputs`, and of the pairs that `gradients` returns.

    `gradients` is asked after both backward passes: it pairs our parameters' gradients with theirs. Both are
    differentiated along the same random direction, so that no gradient hides behind a sum.

    Example:
        >>> values_and_gradients_apart(torch.exp, lambda x: x.exp(), [torch.ones(3)])
        0.0
    """
    mine = [x.detach().clone().requires_grad_(x.is_floating_point()) for x in inputs]
    other = [x.detach().clone().requires_grad_(x.is_floating_point()) for x in inputs]
    out, expected = ours(*mine), theirs(*other)
    direction = torch.randn(expected.shape, generator=torch.Generator().manual_seed(0), dtype=expected.dtype)
    torch.autograd.backward(out, direction)
    torch.autograd.backward(expected, direction)
    differences = [apart(out.detach(), expected.detach())]
    differences += [apart(a.grad, b.grad) for a, b in zip(mine, other, strict=True) if a.requires_grad]
    differences += [apart(a, b) for a, b in gradients()]
    return largest(differences)


def gradient_pairs(pairs: Iterable[tuple[Tensor, Tensor]]) -> list[tuple[Tensor | None, Tensor | None]]:
    """Return the gradients of pairs of parameters."""
    return [(ours.grad, theirs.grad) for ours, theirs in pairs]


def copy_parameters(pairs: Sequence[tuple[Tensor, Tensor]]) -> None:
    """Copy, for each (ours, theirs), their values into ours."""
    with torch.no_grad():
        for ours, theirs in pairs:
            ours.copy_(theirs)


def randomized(module: nn.Module, seed: int = 0) -> nn.Module:
    """Return `module` with every parameter drawn anew, so that no zero bias or unit norm hides an error."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype) * 0.3)
    return module
