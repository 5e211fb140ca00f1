"""Linear layers for drawing text: weights laid out or rounded once, so that a product with one row is read fast.

A product with one row is bound by the bytes of its matrix. Times for [3072, 768], one row, one thread of a Zen 5:
660 us as nn.Linear keeps it in float32, 420 transposed, 280 in bfloat16 packed by oneDNN, 240 in torch's float16. For
[3072, 576] on two threads of a Zen 3, which has AVX2 alone: 620, 390, 240 (not packed), 210, and 200 in float16 packed
by FBGEMM, which also takes 128 rows in 3.2 ms, against 5.1 as nn.Linear keeps it. torch's own float16 is for one row
only: a prompt of 128 tokens takes GPT-2 13 s. Four rows of float32 (four beams) for [50257, 768] on the Zen 3: 31 ms
as nn.Linear keeps it, 30 transposed, 8.5 packed by oneDNN, which takes one row in 6.6, transposed 8.1.
Shapes: N rows (any leading axes), I inputs, O outputs.
"""

from functools import cache
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Then = Literal["none", "gelu_tanh"]
"""What is applied to the product: some kernels do it while they write."""

N_EXACT = 64
"""Largest logits that `RefinedLinear` computes anew."""
PACKED_FROM = 500_000
"""Numbers of a float32 matrix from which packing pays: 384 x 1,536 and more."""


def _then(x: Tensor, then: Then) -> Tensor:
    return F.gelu(x, approximate="tanh") if then == "gelu_tanh" else x


class Float32Linear(nn.Module):
    """The same product with the matrix kept as this CPU reads it fastest: packed by oneDNN, or along its longer side.

    Packing pays for large matrices: a call costs 40 us more. On one thread it takes a third longer for one row.

    Example:
        >>> layer, x = nn.Linear(4, 8), torch.ones(2, 4)
        >>> torch.allclose(Float32Linear(layer.weight, layer.bias)(x), layer(x), atol=1e-6)
        True
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, then: Then = "none") -> None:
        super().__init__()
        self._bias = None if bias is None else bias.detach()
        self._then = then
        is_large = weight.numel() >= PACKED_FROM and torch.get_num_threads() > 1
        self._is_packed = is_large and weight.dtype == torch.float32 and _is_packable(weight)
        if self._is_packed:
            self._weight = _packed(weight)
            return
        self._is_wide = weight.shape[0] >= weight.shape[1] and weight.device.type == "cpu"
        self._weight = weight.detach().t().contiguous() if self._is_wide else weight.detach()

    def forward(self, x: Tensor) -> Tensor:
        """Return the product [..., O] for x [..., I]."""
        if self._is_packed:
            return _packed_product(x, self._weight, self._bias, self._then)
        weight = self._weight.t() if not self._is_wide else self._weight  # [I, O]
        rows = x.reshape(-1, x.shape[-1])  # [N, I]
        out = rows @ weight if self._bias is None else torch.addmm(self._bias, rows, weight)
        return _then(out.view(*x.shape[:-1], -1), self._then)


class BFloat16Linear(nn.Module):
    """The product with weights and rows rounded to bfloat16 (8 bits), summed in float32, rounded to bfloat16.

    Takes and returns the number format of `x`. Each rounding moves a number by at most 2^-9 of itself. A processor
    without bfloat16 instructions multiplies several rows in float32, the same rounded numbers: torch's own bfloat16
    product takes six times as long there (128 rows, Zen 3), though half as long for one row, which is bound by memory.

    Example:
        >>> layer, x = nn.Linear(4, 8), torch.ones(2, 4)
        >>> out = BFloat16Linear(layer.weight, layer.bias)(x)
        >>> out.dtype, torch.allclose(out, layer(x), atol=0.05)
        (torch.float32, True)
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, then: Then = "none") -> None:
        super().__init__()
        self._weight = weight.detach().bfloat16()
        self._bias = None if bias is None else bias.detach().bfloat16()
        self._then = then
        is_fast = weight.device.type != "cpu" or has_bfloat16()
        self._is_widened = not is_fast
        self._is_packed = is_fast and _is_packable(weight)
        if self._is_packed:  # else it would lay them out in each product
            self._weight = _packed(self._weight)

    def forward(self, x: Tensor) -> Tensor:
        """Return the product [..., O] for x [..., I]."""
        rows = x.bfloat16()
        if self._is_widened and x.numel() != x.shape[-1]:
            bias = None if self._bias is None else self._bias.float()
            wide = _then(F.linear(rows.float(), self._weight.float(), bias), self._then)
            return wide.bfloat16().to(x.dtype)
        if not self._is_packed:
            return _then(F.linear(rows, self._weight, self._bias), self._then).to(x.dtype)
        return _packed_product(rows, self._weight, self._bias, self._then).to(x.dtype)


class Float16Linear(nn.Module):
    """The product with weights rounded to float16 (11 bits), summed in float32.

    On x86 processors FBGEMM's kernel widens the weights as it reads them and rounds nothing else. Others round the row
    to float16 too, in which numbers beyond 65,504 overflow, and, on the CPU, take several rows as `BFloat16Linear`
    does, with a second copy of the weights.

    Example:
        >>> layer, x = nn.Linear(4, 8), torch.ones(1, 4)
        >>> torch.allclose(Float16Linear(layer.weight, layer.bias)(x), layer(x), atol=0.005)
        True
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, then: Then = "none") -> None:
        super().__init__()
        self._then = then
        self._packed: torch.ScriptObject | None = None
        if weight.device.type == "cpu" and has_float16_packing():
            bias = None if bias is None else bias.detach().float()
            self._packed = torch.ops.quantized.linear_prepack_fp16(weight.detach().float(), bias)
            return
        self._weight = weight.detach().half()
        self._bias = None if bias is None else bias.detach().half()
        self._rows = BFloat16Linear(weight, bias, then) if weight.device.type == "cpu" else None

    def forward(self, x: Tensor) -> Tensor:
        """Return the product [..., O] for x [..., I]."""
        if self._packed is not None:
            wide: Tensor = torch.ops.quantized.linear_dynamic_fp16(x.float(), self._packed)
            return _then(wide, self._then).to(x.dtype)
        if self._rows is not None and x.numel() != x.shape[-1]:
            out: Tensor = self._rows(x)
            return out
        return _then(F.linear(x.half(), self._weight, self._bias).to(x.dtype), self._then)


class RefinedLinear(nn.Module):
    """A rounded product whose largest N_EXACT entries are computed anew, unrounded: the vocabulary's logits.

    Rounded logits tie often, and the largest decides the token; 64 rows more cost a thousandth of the matrix.

    Args:
        weight: [O, I], kept as it is and shared.
        rough: the rounded product.

    Example:
        >>> weight, x = torch.randn(100, 8), torch.randn(1, 8)
        >>> out = RefinedLinear(weight, BFloat16Linear(weight, None))(x)
        >>> torch.allclose(out.max(), (x @ weight.T).max(), atol=1e-5)
        True
    """

    def __init__(self, weight: Tensor, rough: nn.Module) -> None:
        super().__init__()
        self._weight, self._rough = weight.detach(), rough

    def forward(self, x: Tensor) -> Tensor:
        """Return the product [..., O] for x [..., I]."""
        rough: Tensor = self._rough(x)
        places = rough.topk(min(N_EXACT, rough.shape[-1]), dim=-1, sorted=False).indices  # [..., N_EXACT]
        exact = (F.embedding(places, self._weight) @ x[..., None]).squeeze(-1)
        return rough.scatter(-1, places, exact)


def has_bfloat16() -> bool:
    """Whether oneDNN multiplies bfloat16 on this processor: without its instructions it refuses to.

    Example:
        >>> has_bfloat16() in (True, False)
        True
    """
    ask = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return ask is not None and bool(ask())


@cache
def has_float16_packing() -> bool:
    """Whether FBGEMM is in this torch and runs on this processor (x86 with AVX2 or more).

    Example:
        >>> has_float16_packing() in (True, False)
        True
    """
    try:
        packed = torch.ops.quantized.linear_prepack_fp16(torch.ones(8, 8), None)
        return bool((torch.ops.quantized.linear_dynamic_fp16(torch.ones(1, 8), packed) == 8).all())
    except (RuntimeError, NotImplementedError, AttributeError):
        return False


def _is_packable(weight: Tensor) -> bool:
    is_there: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return weight.device.type == "cpu" and is_there and hasattr(torch.ops.mkldnn, "_reorder_linear_weight")


def _packed(weight: Tensor) -> Tensor:
    """Return `weight` laid out for oneDNN; for several rows, which one row takes as fast."""
    packed: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight.detach(), 128)
    return packed


def _packed_product(rows: Tensor, weight: Tensor, bias: Tensor | None, then: Then) -> Tensor:
    name, how = ("gelu", "tanh") if then == "gelu_tanh" else ("none", "")
    out: Tensor = torch.ops.mkldnn._linear_pointwise(rows, weight, bias, name, [], how)
    return out
