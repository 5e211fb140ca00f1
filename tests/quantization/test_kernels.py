"""Compiled products against products in float64 with the matrices that the bits stand for."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from groundup.layers.embedding import TokenEmbedding
from groundup.quantization import kernels, team
from groundup.quantization.embedding import QuantizedEmbedding
from groundup.quantization.int4 import quantize_int4
from groundup.quantization.int4_linear import Int4Linear
from groundup.quantization.int8 import Int8, StaticRange, quantize_int8
from groundup.quantization.int8_linear import Int8Linear
from groundup.quantization.kernels import CompiledLinear, CompiledProduct, matrix_of

KINDS = ("float32", "int4 32", "int4 64", "int4 128", "int4 scaled", "rows", "affine", "whole", "groups", "table")


def layer_of(kind: str, n_rows: int, width: int, bias: torch.Tensor | None) -> nn.Module:
    weight = torch.randn(n_rows, width)
    if kind == "float32":
        layer = nn.Linear(width, n_rows, bias=bias is not None)
        if bias is not None:
            layer.bias.data = bias
        return layer
    if kind == "table":
        return QuantizedEmbedding(quantize_int8(weight))
    if kind == "groups":  # GGUF's Q8_0
        groups = weight.view(n_rows, -1, 32)
        scale = (groups.abs().amax(-1) / 127).half()
        values = (groups / scale.float()[..., None]).round().clamp(-128, 127).to(torch.int8)
        return Int8Linear(Int8(values.view(n_rows, width), scale), bias)
    if kind.startswith("int4"):
        size = int(kind[5:]) if kind[5:].isdigit() else 32
        scale = torch.rand(width) + 0.5 if kind.endswith("scaled") else None
        return Int4Linear(quantize_int4(weight, group_size=size), bias, input_scale=scale)
    return Int8Linear(quantize_int8(weight, symmetric=kind != "affine", by_row=kind != "whole"), bias)


def exact(layer: nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The product in float64, and how far rounding the inputs may move it."""
    matrix = (layer.weight.detach() if isinstance(layer, nn.Linear) else layer.dequantized()).double()
    bias = getattr(layer, "bias", None)
    out = x.double() @ matrix.T + (0 if bias is None else bias.detach().double())
    scale = getattr(layer, "input_scale", None)
    inner, matrix = (x, matrix) if scale is None else (x * scale, matrix / scale)
    # Each input moves by at most half a step of its block; float32 sums of rounded products add 2^-24 a term.
    steps = inner.view(len(x), -1, 32).abs().amax(-1, keepdim=True).expand(-1, -1, 32).reshape(x.shape) / 32_767
    moved = steps.double() / 2 @ matrix.abs().T
    return out, moved + 1e-6 * (x.double().abs() @ matrix.abs().T) + 1e-6


@settings(max_examples=25, derandomize=True, deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    n_rows=st.integers(1, 40),
    blocks=st.integers(1, 9),
    n=st.sampled_from([1, 2, 8, 9, 30]),
    size=st.sampled_from([1e-3, 1.0, 1e4]),
    has_bias=st.booleans(),
)
def test_products_of_any_shape(kind: str, n_rows: int, blocks: int, n: int, size: float, has_bias: bool):
    torch.manual_seed(n_rows + 100 * blocks)
    group = 128 if kind == "int4 128" else 64 if kind == "int4 64" else 32
    layer = layer_of(kind, n_rows, blocks * group, torch.randn(n_rows) if has_bias else None)
    x = torch.randn(n, blocks * group) * size
    matrix = matrix_of(layer)
    assert matrix is not None
    assert matrix.shape == (n_rows, blocks * group)
    multiply = CompiledProduct(matrix)
    out, bound = exact(layer, x)
    assert ((multiply(x) - out).abs() <= bound).all()


@pytest.mark.parametrize("n_threads", [1, 2, 3])
def test_threads_share_the_rows_and_change_no_bit(n_threads: int, monkeypatch: pytest.MonkeyPatch):
    torch.manual_seed(0)
    multiply = CompiledProduct(matrix_of(layer_of("int4 32", 77, 64, None)))
    x, before, shares = torch.randn(3, 64), torch.get_num_threads(), []
    alone = torch.cat([multiply(row) for row in x.split(1)])  # too little for a team: one thread, one row at a time
    monkeypatch.setattr(kernels, "WORTH_A_TEAM", 0)

    def share_of(n_rows: int, thread: int, n: int) -> tuple[int, int]:
        shares.append((thread, n))
        return thread * n_rows // n, (thread + 1) * n_rows // n

    monkeypatch.setattr(team, "share_of", share_of)
    try:
        torch.set_num_threads(n_threads)
        assert torch.equal(multiply(x), alone)
    finally:
        torch.set_num_threads(before)
    assert set(shares) == {(thread, n_threads) for thread in range(n_threads)}


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("kind", ["int4 32", "rows", "groups"])
def test_what_is_not_finite_does_not_become_a_number(kind: str, bad: float):
    x = torch.ones(1, 64)
    x[0, 40] = bad
    assert not CompiledProduct(matrix_of(layer_of(kind, 4, 64, None)))(x).isfinite().any()


def test_zeros_give_the_bias():
    bias = torch.randn(5)
    for kind in ("int4 32", "rows", "affine", "groups"):
        out = CompiledProduct(matrix_of(layer_of(kind, 5, 64, bias)))(torch.zeros(2, 64))
        assert torch.equal(out, bias.expand(2, 5))


def test_large_matrices_are_widened_part_by_part(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(kernels, "WIDENED_AT_ONCE", 300)
    torch.manual_seed(0)
    for kind in ("int4 scaled", "affine", "groups"):
        layer, x = layer_of(kind, 13, 64, torch.randn(13)), torch.randn(20, 64)
        # The same float32 numbers as the layer's own, in another order of sums.
        assert torch.allclose(CompiledProduct(matrix_of(layer))(x), layer(x), atol=1e-4)


def test_what_compiled_code_cannot_do_has_no_matrix():
    int8 = quantize_int8(torch.randn(4, 64))
    assert matrix_of(nn.Linear(40, 4)) is None  # no multiple of 32
    assert matrix_of(nn.Linear(64, 4).bfloat16()) is None
    assert matrix_of(nn.Linear(64, 4, device="meta")) is None
    assert matrix_of(Int8Linear(int8, None, activations="dynamic")) is None
    assert matrix_of(Int8Linear(int8, None, activations=StaticRange(0.1, 0))) is None
    assert matrix_of(Int8Linear(Int8(int8.values, int8.scale.expand(4, 2)), None)) is None  # groups in float32
    assert matrix_of(nn.LayerNorm(64)) is None
    assert matrix_of(TokenEmbedding(4, 64)) is not None


def test_a_layer_keeps_leading_axes_and_shares_memory():
    layer = layer_of("int4 32", 6, 64, None)
    fast, x = CompiledLinear(matrix_of(layer)), torch.randn(2, 3, 64)
    assert fast(x).shape == (2, 3, 6)
    layer.scale.zero_()
    layer.minimum.fill_(1)
    assert torch.allclose(fast(x), x.sum(-1, keepdim=True).expand(2, 3, 6), atol=1e-3)  # 15 bits of each input
