"""Products by compiled code (`row_products`), where numba is installed: matrices in the memory they lie in, and layers.

Where numba is, its code is taken; else a copy in floating point. That is a rule and no measurement, because of three
things. It is the fastest: microseconds for [3072, 768], one row, one thread of a processor with AVX2 alone, 24 matrices
in turn so that none stays in the cache:

    4 bits, groups of 32    compiled 275    torch._weight_int4pack_mm_for_cpu 411
    8 bits, rows            compiled 249    torch.ao, dynamic int8 353    torch._weight_int8pack_mm 557
    a copy                  float16 421     bfloat16 644    float32 556, as `F.linear` reads it 720

It loses least: torch's kernels are fast for bfloat16 inputs only, which moves a product by 1.4e-2 of its deviation;
this code moves it by 7e-5. And it alone can be part of a step that is compiled whole (`decode_step`), in which threads
are woken once a token. Woken for one product of this size they cost more than they save (550: WORTH_A_TEAM), where on
two threads torch's take 211 and 300; but SmolLM2 in 4 bits draws 100 tokens a second there, and 24 from a float16 copy
(benchmarks/quantized_speed.py).
Shapes: O rows, I columns, N rows of inputs.
"""

import importlib.util
from dataclasses import dataclass
from functools import cache
from threading import local
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from groundup.layers.embedding import TokenEmbedding
from groundup.quantization.embedding import QuantizedEmbedding
from groundup.quantization.int4 import Int4
from groundup.quantization.int4_linear import Int4Linear
from groundup.quantization.int8 import Int8
from groundup.quantization.int8_linear import Int8Linear

BLOCK = 32
"""Columns that are multiplied together: only widths of a multiple of it are compiled for."""
FEW_ROWS = 8
"""Inputs up to which each is multiplied by itself; more are multiplied by the matrix laid out in float32."""
WIDENED_AT_ONCE = 2_000_000
"""Weights that are laid out in float32 at a time: 8 MB, which stay in the processor's cache."""
WORTH_A_TEAM = 4_000_000
"""Weights from which on the threads' waking, some 50 microseconds, is less than what they save."""


@cache
def has_kernels() -> bool:
    """Return whether numba is installed, the extra `fast`.

    Example:
        >>> import pkgutil
        >>> has_kernels() == ("numba" in {module.name for module in pkgutil.iter_modules()})
        True
    """
    return importlib.util.find_spec("numba") is not None


@dataclass(frozen=True, kw_only=True)
class Matrix:
    """A matrix as compiled code sees it: addresses, and what keeps the memory there alive."""

    row: tuple[int, ...]
    """What `row_products.Column` names."""
    memory: tuple[Tensor | None, ...]
    """What the addresses point into."""
    weights: Tensor
    """[O, I], of 4 bits [O, I / 2]."""
    bias: Tensor | None
    """[O]."""
    input_scale: Tensor | None
    """What each input is multiplied by first: [I]."""

    @property
    def shape(self) -> tuple[int, int]:
        """(O, I)."""
        from groundup.quantization.row_products import Column

        return self.row[Column.ROWS], self.row[Column.WIDTH]


def matrix_of(layer: nn.Module) -> Matrix | None:
    """Return the matrix of a linear layer or an embedding, in its own memory; None if compiled code can't do it.

    It does products with float32, with 4 bits, and with 8 bits (a scale for all, a row, or groups of 32 or more in
    float16) that multiply unrounded inputs; on the CPU; I is a multiple of 32.

    Example:
        >>> matrix_of(nn.Linear(64, 8)).shape, matrix_of(nn.Linear(20, 8)), matrix_of(nn.ReLU())
        ((8, 64), None, None)
    """
    from groundup.quantization.row_products import Kind

    bias: Tensor | None = None
    input_scale: Tensor | None = None
    if isinstance(layer, Int4Linear | Int8Linear):
        bias, kept = layer.bias, layer.kept
        if isinstance(layer, Int8Linear) and layer.activations != "none":
            return None
        input_scale = layer.input_scale if isinstance(layer, Int4Linear) else None
    elif isinstance(layer, QuantizedEmbedding):
        kept = layer.kept
    elif isinstance(layer, nn.Linear | TokenEmbedding) and layer.weight.dtype == torch.float32:
        bias = layer.bias if isinstance(layer, nn.Linear) else None
        return _matrix(Kind.FLOAT32, layer.weight, layer.weight.shape, bias=bias)
    else:
        return None
    if isinstance(kept, Int4):
        return _matrix(
            Kind.INT4,
            kept.packed,
            kept.shape,
            group=kept.group_size,
            scale=kept.scale,
            minimum=kept.minimum,
            bias=bias,
            input_scale=input_scale,
        )
    return _int8(kept, bias)


def _int8(kept: Int8, bias: Tensor | None) -> Matrix | None:
    from groundup.quantization.row_products import Kind

    n_rows, n_columns = kept.values.shape
    groups = kept.scale.shape[1] if kept.scale.ndim else 1
    if groups > 1:
        if kept.scale.dtype != torch.float16 or kept.zero is not None:
            return None
        size = n_columns // groups
        return _matrix(Kind.INT8_GROUPS, kept.values, kept.shape, group=size, scale=kept.scale, bias=bias)
    scale = kept.scale.float().expand(n_rows, 1).contiguous()
    minimum = None if kept.zero is None else -kept.zero.float().expand(n_rows, 1) * scale
    return _matrix(Kind.INT8_ROWS, kept.values, kept.shape, scale=scale, minimum=minimum, bias=bias)


def _matrix(
    kind: int,
    weights: Tensor,
    shape: tuple[int, ...],
    *,
    group: int = BLOCK,
    scale: Tensor | None = None,
    minimum: Tensor | None = None,
    bias: Tensor | None = None,
    input_scale: Tensor | None = None,
) -> Matrix | None:
    if shape[1] % BLOCK or group % BLOCK or weights.device.type != "cpu":
        return None
    parts = [
        None if part is None else part.detach().contiguous() for part in (weights, scale, minimum, bias, input_scale)
    ]
    addresses = (0 if part is None else part.data_ptr() for part in parts)
    return Matrix(
        row=(int(kind), *addresses, *shape, group),
        memory=tuple(parts),
        weights=weights.detach(),
        bias=bias,
        input_scale=input_scale,
    )


class CompiledProduct:
    """x · Wᵀ + bias by compiled code, for float32 inputs on the CPU.

    A few rows are multiplied one by one (`row_products`), many by the matrix in float32, part by part.

    Example:
        >>> from groundup.quantization.int4 import quantize_int4
        >>> layer = Int4Linear(quantize_int4(torch.randn(8, 64), group_size=32), None)
        >>> few, many = torch.randn(2, 64), torch.randn(20, 64)
        >>> multiply = CompiledProduct(matrix_of(layer))
        >>> [torch.allclose(multiply(x), layer(x), atol=1e-3) for x in (few, many)]
        [True, True]
    """

    def __init__(self, matrix: Matrix) -> None:
        self._matrix, self._row = matrix, np.array(matrix.row, np.int64)

    def __call__(self, x: Tensor) -> Tensor:
        """Return the product for each of the rows: [N, I] -> [N, O]."""
        return self._row_by_row(x) if len(x) <= FEW_ROWS else self._all_rows(x)

    def _row_by_row(self, x: Tensor) -> Tensor:
        from groundup.quantization.row_products import N_VECTORS, product
        from groundup.quantization.team import share_of, work

        n_rows, width = self._matrix.shape
        out = torch.empty(len(x), n_rows)
        inputs, outputs, row = x.detach().contiguous().numpy(), out.numpy(), self._row

        def share(thread: int, n: int, counter: int) -> None:
            room, whole = np.empty((N_VECTORS, width), np.float32), np.empty(width, np.int16)
            for i in range(len(inputs)):
                product(row, *share_of(n_rows, thread, n), inputs[i], outputs[i], room, whole)

        work(share, n=1 if n_rows * width * len(x) < WORTH_A_TEAM else None)
        return out

    def _all_rows(self, x: Tensor) -> Tensor:
        from groundup.quantization.row_products import Column, Kind
        from groundup.quantization.team import share_of, work
        from groundup.quantization.widened import widen

        n_rows, width = self._matrix.shape
        bias, input_scale, row = self._matrix.bias, self._matrix.input_scale, self._row
        if row[Column.KIND] == Kind.FLOAT32:
            return F.linear(x, self._matrix.weights, bias)
        at_once = max(1, WIDENED_AT_ONCE // width)
        if input_scale is not None:
            x = x * input_scale
        pieces = []
        for begin in range(0, n_rows, at_once):
            end = min(begin + at_once, n_rows)
            wide = _scratch((end - begin) * width).view(end - begin, width)
            place = wide.numpy()

            def share(thread: int, n: int, counter: int, begin: int = begin, place: Any = place) -> None:  # noqa: ANN401
                first, last = share_of(len(place), thread, n)
                widen(row, begin + first, begin + last, place[first:last])

            work(share, n=1 if wide.numel() < WORTH_A_TEAM // 10 else None)
            pieces.append(F.linear(x, wide, None if bias is None else bias[begin:end]))
        return pieces[0] if len(pieces) == 1 else torch.cat(pieces, dim=-1)


_room = local()


def _scratch(n: int) -> Tensor:
    """Return `n` float32 of this thread's, the same at each call: fresh memory would cost more than its use."""
    if getattr(_room, "numbers", None) is None or len(_room.numbers) < n:
        with torch.inference_mode(False):
            _room.numbers = torch.empty(max(n, WIDENED_AT_ONCE))
    numbers: Tensor = _room.numbers
    return numbers[:n]


class CompiledLinear(nn.Module):
    """A quantized layer whose products are done by compiled code.

    Args:
        matrix: the layer's, as compiled code sees it; its memory is shared.
        many: what multiplies more than FEW_ROWS rows instead, if anything.

    Example:
        >>> from groundup.quantization.int4 import quantize_int4
        >>> slow, x = Int4Linear(quantize_int4(torch.randn(8, 64), group_size=32), None), torch.randn(2, 3, 64)
        >>> torch.allclose(CompiledLinear(matrix_of(slow))(x), slow(x), atol=1e-3)
        True
    """

    def __init__(self, matrix: Matrix, many: nn.Module | None = None) -> None:
        super().__init__()
        self._product, self.many = CompiledProduct(matrix), many

    def forward(self, x: Tensor) -> Tensor:
        """Return the product [..., O] for x [..., I], in float32."""
        rows = x.reshape(-1, x.shape[-1]).float()
        out: Tensor = self.many(rows) if self.many is not None and len(rows) > FEW_ROWS else self._product(rows)
        return out.view(*x.shape[:-1], -1)
