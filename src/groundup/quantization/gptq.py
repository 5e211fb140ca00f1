"""GPTQ: a matrix in 4 bits, column by column, each making up for what rounding those before it has lost.

Frantar et al. 2022 (arXiv 2210.17323). A layer gives W x; what rounding W to Ŵ changes over the inputs of a calibration
text, with H = Σ x xᵀ, is

    Σ |W x - Ŵ x|² = tr((W - Ŵ) H (W - Ŵ)ᵀ),

a sum over rows w of (w - ŵ) H (w - ŵ)ᵀ, so each row is a problem of its own, and all have the same H. Round its column
j, which leaves the error e = w_j - ŵ_j, and let the columns F after it move by δ. That changes the outputs by

    e² H_jj - 2 e H_jF δᵀ + δ H_FF δᵀ,

which is least at δ = e H_jF H_FF⁻¹. The inverse of H over j and F together has, by its block form, the first row
[H⁻¹]_jj (1, -H_jF H_FF⁻¹). So the best move, and what it leaves, are

    δ = -e [H⁻¹]_jF / [H⁻¹]_jj and e² / [H⁻¹]_jj.

For the next column H⁻¹ has to be that over F alone: one step of Gaussian elimination. All steps at once are a
triangular factor, H⁻¹ = Uᵀ U with U upper: the inverse over columns j and after is U[j:, j:]ᵀ U[j:, j:], its first row
U_jj U[j, j:]. So with e / U_jj for the error the update is one row of U (their equation 4 and section 3.3, step 3).

Columns are taken by falling H_jj: those whose errors weigh most come while many are left to make up for them. Scales
belong to groups of neighbours, so they are chosen before the first column is rounded, for the weights as they are.
Updates inside a block of columns are done at once, those of all columns after it by one product (step 2, lazy batches).
Measured on SmolLM2-135M, group 32, its columns in another order than its file's own 4 bits: divergence (KL) from
the float32 model on 1,500 to 2,300 tokens of TinyShakespeare, after 8,192 tokens of its other part. Rounding 0.23 nats;
scales chosen as each group begins, after the updates, 0.13, by least squares 0.11; by falling H_jj 0.09; with scales
fitted under the weights H_jj, as it is here, 0.04.
Shapes: O rows, I columns, G groups of a row.
"""

from functools import partial

import torch
from torch import Tensor

from groundup.errors import InputError
from groundup.quantization.int4 import HIGHEST, Fit, Int4, pack, quantize_int4, refuse_shape
from groundup.quantization.least_squares import least_squares

DAMPING = 0.01
"""Share of the mean of H's diagonal that is added to it (the paper's section 3.3, step 3)."""
AT_ONCE = 64
"""Columns of a block."""


def gptq(weight: Tensor, hessian: Tensor, *, group_size: int, fit: Fit | None = None) -> Int4:
    """Return `weight` in 4 bits, so that its products with the inputs that `hessian` sums up change least.

    An input that was always zero says nothing: its column is rounded to the nearest step.

    Args:
        weight: floating point [O, I].
        hessian: the sum of x xᵀ over inputs x, or their mean: [I, I].
        group_size: neighbours in a row that share scale and minimum: a multiple of 32.
        fit: chooses them. None: least squares, weighted by what each column's error is multiplied by, H_jj.

    Raises:
        InputError: as `quantize_int4` says; a Hessian of another size, or not finite.

    Example:
        >>> from groundup.quantization.int4 import quantize_int4
        >>> _ = torch.manual_seed(0)
        >>> W, x = torch.randn(8, 64), torch.randn(500, 8) @ torch.randn(8, 64)  # inputs of 8 dimensions
        >>> lost = [((kept.dequantized() - W) @ x.T).norm().item() for kept in (
        ...     quantize_int4(W, group_size=32), gptq(W, x.T @ x, group_size=32))]
        >>> lost[1] < lost[0] / 3
        True
    """
    refuse_shape(weight, group_size)
    size = weight.shape[1]
    hessian = _damped(hessian, size)
    if fit is None:
        fit = partial(least_squares, importance=hessian.diagonal().view(-1, group_size).to(weight.device))
    rounded = quantize_int4(weight, group_size=group_size, fit=fit)
    order = hessian.diagonal().argsort(descending=True, stable=True)
    factor = _factor(hessian[order][:, order])
    order = order.to(weight.device)
    rest = weight.detach().float().t()[order]  # [I, O]: a column is one piece of memory
    group = order // group_size
    scale, minimum = (part.float().t()[group] for part in (rounded.scale, rounded.minimum))  # [I, O] of each column
    q = torch.empty_like(rest, dtype=torch.uint8)
    for start in range(0, size, AT_ONCE):
        block = slice(start, start + AT_ONCE)
        errors = _round_block(rest[block], factor[block, block], scale[block], minimum[block], q[block])
        rest[block.stop :].addmm_(factor[block, block.stop :].t(), errors, alpha=-1)
    back = order.argsort()
    return Int4(pack(q[back].t().contiguous()), rounded.scale, rounded.minimum)


def _round_block(columns: Tensor, factor: Tensor, scale: Tensor, minimum: Tensor, q: Tensor) -> Tensor:
    """Round the columns of one block [block, O] in turn, write their q, and return errors / U_jj [block, O]."""
    errors = torch.empty_like(columns)
    diagonal = factor.diagonal().tolist()
    step = torch.where(scale == 0, 1.0, scale)  # all alike: each is the minimum
    for j, column in enumerate(columns):
        nearest = ((column - minimum[j]) / step[j]).round_().clamp_(0, HIGHEST)  # [O]
        q[j] = nearest
        error = torch.sub(column, nearest.mul_(scale[j]).add_(minimum[j]), out=errors[j]).div_(diagonal[j])
        columns[j + 1 :].addr_(factor[j, j + 1 :], error, alpha=-1)
    return errors


def _damped(hessian: Tensor, size: int) -> Tensor:
    """Return H with a little added to its diagonal, float32 [size, size]; the identity for an H of zeros."""
    if hessian.shape != (size, size):
        raise InputError(f"expected a Hessian of {size} x {size} numbers, found {list(hessian.shape)}")
    if not bool(hessian.isfinite().all()):
        raise InputError("expected a Hessian that is finite, found NaN or infinity: the inputs of the layer are not")
    H = hessian.detach().float()
    mean = H.diagonal().mean()
    return torch.diagonal_scatter(H, H.diagonal() + torch.where(mean > 0, DAMPING * mean, 1.0))


def _factor(hessian: Tensor) -> Tensor:
    """Return U, upper triangular [I, I], with Uᵀ U the inverse of the damped Hessian.

    With R upper and H = R Rᵀ, which is the usual Cholesky factor of H read backwards, U = R⁻¹: H is not inverted, and
    what is has but the root of its condition. That is at most 1 + I / 0.01, for no eigenvalue exceeds the trace.
    """
    R = torch.linalg.cholesky(hessian.flip(0, 1)).flip(0, 1)
    U: Tensor = torch.linalg.solve_triangular(R, torch.eye(len(R), device=R.device), upper=True)
    return U
