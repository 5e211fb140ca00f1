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

Columns lie in groups that share a scale. A group is rounded alone; those after it are updated by one product when it is
through (step 2, lazy batches). Its scale is chosen as it begins, for the numbers that the updates have made of it.
Shapes: O rows, I columns, G groups of a row.
"""

import torch
from torch import Tensor

from groundup.errors import InputError
from groundup.quantization.int4 import HIGHEST, Fit, Int4, between_ends, pack, refuse_numbers, refuse_shape

DAMPING = 0.01
"""Share of the mean of H's diagonal that is added to it (the paper's section 3.3, step 3)."""


def gptq(weight: Tensor, hessian: Tensor, *, group_size: int, fit: Fit = between_ends) -> Int4:
    """Return `weight` in 4 bits, so that its products with the inputs that `hessian` sums up change least.

    An input that was always zero says nothing: its column is rounded to the nearest step.

    Args:
        weight: floating point [O, I].
        hessian: the sum of x xᵀ over inputs x, or their mean: [I, I].
        group_size: neighbours in a row that share scale and minimum: a multiple of 32.
        fit: chooses them.

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
    rest = weight.detach().float().t().clone(memory_format=torch.contiguous_format)  # [I, O]: a column is one piece
    factor = _factor(hessian, len(rest)).to(rest.device)
    q = torch.empty_like(rest, dtype=torch.uint8)
    scales, minimums = [], []
    for start in range(0, len(rest), group_size):
        group = slice(start, start + group_size)
        scale, minimum = fit(rest[group].t().contiguous())  # [O]
        refuse_numbers(weight, scale, minimum)
        errors = _round_group(rest[group], factor[group, group], scale, minimum, q[group])
        rest[group.stop :].addmm_(factor[group, group.stop :].t(), errors, alpha=-1)
        scales.append(scale)
        minimums.append(minimum)
    return Int4(pack(q.t().contiguous()), torch.stack(scales, 1), torch.stack(minimums, 1))


def _round_group(columns: Tensor, factor: Tensor, scale: Tensor, minimum: Tensor, q: Tensor) -> Tensor:
    """Round the columns of one group [group, O] in turn, write their q, and return errors / U_jj [group, O]."""
    errors = torch.empty_like(columns)
    low, step = minimum.float(), scale.float()
    per_step = torch.where(step == 0, 0.0, 1 / step)  # all alike: q = 0
    diagonal = factor.diagonal().tolist()
    for j, column in enumerate(columns):
        nearest = ((column - low) * per_step).round_().clamp_(0, HIGHEST)  # [O]
        q[j] = nearest
        error = torch.sub(column, nearest.mul_(step).add_(low), out=errors[j]).div_(diagonal[j])
        columns[j + 1 :].addr_(factor[j, j + 1 :], error, alpha=-1)
    return errors


def _factor(hessian: Tensor, size: int) -> Tensor:
    """Return U, upper triangular, float32 [I, I], with Uᵀ U the inverse of the damped Hessian.

    With R upper and H = R Rᵀ, which is the usual Cholesky factor of H read backwards, U = R⁻¹: H is not inverted, and
    what is has but the root of its condition. That is at most 1 + I / 0.01, for no eigenvalue exceeds the trace.
    """
    if hessian.shape != (size, size):
        raise InputError(f"expected a Hessian of {size} x {size} numbers, found {list(hessian.shape)}")
    if not bool(hessian.isfinite().all()):
        raise InputError("expected a Hessian that is finite, found NaN or infinity: the inputs of the layer are not")
    H = hessian.detach().float()
    mean = H.diagonal().mean()
    H = torch.diagonal_scatter(H, H.diagonal() + torch.where(mean > 0, DAMPING * mean, 1.0))
    R = torch.linalg.cholesky(H.flip(0, 1)).flip(0, 1)
    U: Tensor = torch.linalg.solve_triangular(R, torch.eye(size, device=H.device), upper=True)
    return U
