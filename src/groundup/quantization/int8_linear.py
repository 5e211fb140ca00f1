"""A linear layer whose weights are kept in 8 bits and do not learn, and the product of two matrices of 8 bits.

With x = (p - z) s and w = (q - y) t, each output of a row of inputs is (Jacob et al. 2017, section 2.2)

    Σ x w = s t Σ (p - z)(q - y) = s t (Σ p q - y Σ p - z Σ q + I z y)                    (eq. 7)

Only Σ p q reads both matrices: the O · I products of each row are of whole numbers. Σ p is one number of a row, Σ q one
of an output, and the scales are applied to sums. Nothing is rounded on the way.
Shapes: N rows (any leading axes), I inputs, O outputs, G groups of inputs that share a scale.
"""

from collections.abc import Callable
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from groundup.quantization.frozen_product import frozen_product
from groundup.quantization.int8 import Int8, StaticRange, quantize_rows
from groundup.quantization.kept import in_bytes, n_bytes, n_stood_for, sizes

EXACT_COLUMNS = 1024
"""Products of two q are at most 2^14, and float32 holds every whole number to 2^24: sums of so many are exact."""


class Int8Linear(nn.Module):
    """W x + bias, with W in 8 bits: the readable form.

    What it is multiplied by may be rounded too. dynamic: each row of x by its own largest magnitude (LLM.int8's
    vector-wise quantization, Dettmers et al. 2022, section 3.1); static: all of them by a range that was seen on a
    text. A gradient goes to x, so that adapters can learn beside it, and none to W; rounding counts as the identity
    (straight-through, Bengio et al. 2013), and what lay outside of a static range gets none.

    Args:
        weight: W [O, I].
        bias: [O].
        activations: none, dynamic, or the static range.

    Example:
        >>> from groundup.quantization.int8 import quantize_int8
        >>> base, x = nn.Linear(64, 8), torch.ones(2, 64)
        >>> layer = Int8Linear(quantize_int8(base.weight), base.bias, activations="dynamic")
        >>> torch.allclose(layer(x), base(x), atol=0.02), layer.n_bytes
        (True, 576)
    """

    values: Tensor
    scale: Tensor
    zero: Tensor | None
    bias: Tensor | None
    activation_scale: Tensor | None
    activation_zero: Tensor | None

    def __init__(
        self, weight: Int8, bias: Tensor | None, *, activations: Literal["none", "dynamic"] | StaticRange = "none"
    ) -> None:
        super().__init__()
        self.out_features, self.in_features = weight.shape
        self.register_buffer("values", weight.values)
        self.register_buffer("scale", weight.scale)
        self.register_buffer("zero", weight.zero)
        self.register_buffer("bias", None if bias is None else bias.detach().float())
        static = activations if isinstance(activations, StaticRange) else None
        self.is_dynamic = activations == "dynamic"
        self.register_buffer("activation_scale", None if static is None else torch.tensor(static.scale))
        self.register_buffer("activation_zero", None if static is None else torch.tensor(static.zero, dtype=torch.int8))

    @property
    def kept(self) -> Int8:
        """W in 8 bits."""
        return Int8(self.values, self.scale, self.zero)

    @property
    def activations(self) -> Literal["none", "dynamic"] | StaticRange:
        """What becomes of the inputs."""
        if self.activation_scale is None or self.activation_zero is None:
            return "dynamic" if self.is_dynamic else "none"
        return StaticRange(self.activation_scale.item(), int(self.activation_zero.item()))

    @property
    def n_bytes(self) -> int:
        """Bytes that the layer takes."""
        return n_bytes(self)

    @property
    def n_quantized(self) -> int:
        """Parameters of the layer that its buffers stand for."""
        return n_stood_for(self)

    def dequantized(self) -> Tensor:
        """Return the matrix that x is multiplied by: float32 [O, I]."""
        return self.kept.dequantized()

    def forward(self, x: Tensor) -> Tensor:
        """Return the product [..., O] for x [..., I]."""
        activations = self.activations
        if activations == "none":
            return frozen_product(x, self.dequantized, self.bias)
        rows = x.reshape(-1, self.in_features)  # [N, I]
        out: Tensor = _RoundedProduct.apply(rows, self.kept, self.bias, activations)  # type: ignore[no-untyped-call]
        return out.view(*x.shape[:-1], self.out_features)

    def extra_repr(self) -> str:
        """Return what `print` says of the layer."""
        return f"{sizes(self)}, activations={self.activations}"

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Move the buffers, and leave their number formats."""
        super()._apply(in_bytes(fn), recurse)  # type: ignore[no-untyped-call]
        return self


def int8_product(x: Int8, weight: Int8) -> Tensor:
    """Return x · Wᵀ for matrices of 8 bits, by sums of whole numbers.

    Args:
        x: [N, I] with one scale for all or one for each row.
        weight: [O, I] with any scales.

    Returns:
        float32 [N, O].

    Example:
        >>> from groundup.quantization.int8 import quantize_int8
        >>> x, weight = quantize_rows(torch.tensor([[1.0, 2.0]])), quantize_int8(torch.tensor([[3.0, 4.0]]))
        >>> round(int8_product(x, weight).item(), 1)  # 11, within the rounding of both
        11.0
    """
    n_columns = weight.shape[1] // weight.n_groups
    scales = weight.scale.float().expand(weight.shape[0], weight.n_groups)  # [O, G]
    zeros = None if weight.zero is None else weight.zero.int().expand(weight.shape[0], weight.n_groups)
    out = scales.new_zeros(x.shape[0], weight.shape[0])  # [N, O]
    for group in range(weight.n_groups):
        p, q = (part.narrow(1, group * n_columns, n_columns) for part in (x.values, weight.values))
        sums = whole_product(p, q)
        if zeros is not None:
            sums -= zeros[:, group] * _sum(p)[:, None]
        if x.zero is not None:
            sums -= x.zero.int() * _sum(q)
        if zeros is not None and x.zero is not None:
            sums += n_columns * x.zero.int() * zeros[:, group]
        out += sums * scales[:, group]
    return out.mul_(x.scale.float())


def whole_product(p: Tensor, q: Tensor) -> Tensor:
    """Return Σ p q of int8 matrices [N, I] and [O, I]: int32 [N, O], exact for I up to 131,071, in any order.

    Example:
        >>> p = torch.full((1, 2000), -128, dtype=torch.int8)
        >>> whole_product(p, p).item() == 2000 * 128**2
        True
    """
    out = torch.zeros(len(p), len(q), dtype=torch.int32, device=p.device)
    with torch.autocast(p.device.type, enabled=False):  # it would return bfloat16, in which the sums are not exact
        for columns in range(0, p.shape[1], EXACT_COLUMNS):
            part = slice(columns, columns + EXACT_COLUMNS)
            out += (p[:, part].float() @ q[:, part].float().T).to(torch.int32)
    return out


def _sum(q: Tensor) -> Tensor:
    return q.sum(1, dtype=torch.int32)


class _RoundedProduct(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - autograd's context
        x: Tensor,  # [N, I]
        weight: Int8,
        bias: Tensor | None,
        activations: Literal["dynamic"] | StaticRange,
    ) -> Tensor:
        ctx.weight, ctx.is_static = weight, isinstance(activations, StaticRange)
        if isinstance(activations, StaticRange):
            ctx.save_for_backward((x >= activations.low) & (x <= activations.high))
            rounded = activations.quantize(x)
        else:
            rounded = quantize_rows(x)
        out = int8_product(rounded, weight)
        return (out if bias is None else out.add_(bias)).to(x.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:  # noqa: ANN401 - autograd's context
        back = grad @ ctx.weight.dequantized().to(grad.dtype)
        return (back * ctx.saved_tensors[0] if ctx.is_static else back), None, None, None
