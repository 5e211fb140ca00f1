"""Activation-aware scaling (AWQ): inputs that are large get finer steps, at the cost of those that are small.

Lin et al. 2023 (arXiv 2306.00978). In W x each column of W meets one input. Multiply the column by s and divide the
input by s, and the product is the same; but now rounding, whose steps the whole group shares, moves that column by 1/s
of what it did (section 3.2), as long as the group's range hardly grows. Which inputs deserve it, their mean size says:
s_j = (mean |x_j|)^a. The exponent a is searched (equation 5): 0 is plain rounding, 1 makes all inputs alike.
Shapes: O rows, I columns.
"""

import torch
from torch import Tensor

from groundup.quantization.int4 import Fit, between_ends, quantize_int4

EXPONENTS = tuple(step / 10 for step in range(11))
"""Those that are tried, 0 among them: the choice is never worse than rounding by the error that is searched."""
LEAST = 1e-4
"""An input's mean size is taken for at least this part of the mean of all, so that one that was silent stays finite."""


def activation_aware_scale(
    weight: Tensor, hessian: Tensor, mean_magnitude: Tensor, *, group_size: int, fit: Fit = between_ends
) -> Tensor:
    """Return what to multiply the inputs of a layer by, so that 4 bits change its products least: float32 [I].

    Divide the columns of the weight by it before they are rounded:

        scale = activation_aware_scale(W, H, size, group_size=32)
        Int4Linear(quantize_int4(W / scale, group_size=32), bias, input_scale=scale)

    and where GPTQ rounds them, give it the Hessian of the scaled inputs, H * scale[:, None] * scale. The error over all
    inputs x that H = Σ x xᵀ sums up is tr(D H Dᵀ) for the difference D of the matrices, so the inputs are not needed.

    Args:
        weight: floating point [O, I]; of several layers with the same input, stacked, for which one scale will do.
        hessian: the sum of x xᵀ over inputs x, or their mean: [I, I].
        mean_magnitude: the mean of |x| of each input: [I].
        group_size: neighbours in a row that share scale and minimum.
        fit: chooses them.

    Raises:
        InputError: as `quantize_int4` says.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> x = torch.randn(100, 32) * torch.tensor([10.0] + [1.0] * 31)  # one input is large
        >>> scale = activation_aware_scale(torch.randn(64, 32), x.T @ x, x.abs().mean(0), group_size=32)
        >>> bool(scale[0] < scale[1:].min())  # its column is made larger
        True
    """
    W, H = weight.detach().float(), hessian.detach().float()
    size = mean_magnitude.detach().float()
    size = size.clamp(min=LEAST * size.mean().item())
    size = torch.where(size > 0, size, 1.0)  # no input was ever other than zero
    size = size / size.log().mean().exp()  # their product is 1: the weights stay as large as they are
    best, least = torch.ones_like(size), float("inf")
    for exponent in EXPONENTS:
        scale = size**-exponent
        D = quantize_int4(W / scale, group_size=group_size, fit=fit).dequantized().mul_(scale).sub_(W)
        error = torch.sum((D @ H).mul_(D)).item()
        if error < least:
            best, least = scale, error
    return best
