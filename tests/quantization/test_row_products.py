"""Rows of a matrix times a vector, compiled: laws that hold to the bit, and the order in which numbers lie."""

import numpy as np
import pytest
import torch
from torch import nn

from groundup.quantization.compiler import compiled
from groundup.quantization.int4 import Int4, pack, quantize_int4
from groundup.quantization.int4_linear import Int4Linear
from groundup.quantization.int8 import Int8, quantize_int8
from groundup.quantization.int8_linear import Int8Linear
from groundup.quantization.kernels import has_kernels, matrix_of
from groundup.quantization.row_products import LARGEST, N_VECTORS, half, product, round_inputs

pytestmark = pytest.mark.skipif(not has_kernels(), reason="numba is not installed")

O, I = 7, 128  # noqa: E741 - rows, columns
KINDS = {
    "float32": lambda W: nn.Linear(I, O),
    "rows": lambda W: Int8Linear(quantize_int8(W), torch.randn(O)),
    "affine": lambda W: Int8Linear(quantize_int8(W + 1, symmetric=False), None),
    "groups": lambda W: Int8Linear(quantize_int8(W, group_size=32), torch.randn(O)),
    "int4": lambda W: Int4Linear(quantize_int4(W, group_size=32), torch.randn(O)),
    "int4 64": lambda W: Int4Linear(quantize_int4(W, group_size=64), None),
    "int4 scaled": lambda W: Int4Linear(quantize_int4(W, group_size=32), None, input_scale=torch.rand(I) + 0.5),
}


@pytest.fixture(params=KINDS)
def layer(request: pytest.FixtureRequest) -> nn.Module:
    torch.manual_seed(0)
    return KINDS[request.param](torch.randn(O, I))


def multiplied(layer: nn.Module, x: torch.Tensor, first: int = 0, last: int = O) -> np.ndarray:
    out = np.full(O, np.nan, np.float32)
    room, p = np.full((N_VECTORS, I + 5), np.nan, np.float32), np.zeros(I + 5, np.int16)  # more room than it needs
    matrix = matrix_of(layer)  # it keeps the memory
    product(np.array(matrix.row, np.int64), first, last, x.numpy(), out, room, p)
    return out


def test_a_share_of_the_rows_is_written_and_no_other(layer: nn.Module):
    x = torch.randn(I)
    whole = multiplied(layer, x)
    for first, last in ((0, 0), (0, 3), (3, O), (O, O)):
        part = multiplied(layer, x, first, last)
        assert np.array_equal(part[first:last], whole[first:last])
        assert np.isnan(np.delete(part, range(first, last))).all()


def test_inputs_a_power_of_two_larger_give_outputs_as_much_larger(layer: nn.Module):
    """Inputs are rounded by the largest among them, so the same whole numbers are multiplied, and bits stay."""
    if getattr(layer, "bias", None) is not None:
        layer.bias.data.zero_()
    x = torch.randn(I)
    for power in (-20, 3, 40):
        assert np.array_equal(multiplied(layer, x * 2.0**power), multiplied(layer, x) * np.float32(2.0**power))


def test_each_input_meets_its_column(layer: nn.Module):
    matrix = layer.weight.detach() if isinstance(layer, nn.Linear) else layer.dequantized()
    bias = torch.zeros(O) if layer.bias is None else layer.bias.detach()
    for column in range(I):
        found = multiplied(layer, torch.eye(I)[column])
        # One input alone is not rounded: of 32,767 steps it is all.
        assert np.allclose(found, (matrix[:, column] + bias).numpy(), rtol=1e-5, atol=1e-5)


def test_sums_of_the_largest_numbers_are_exact():
    """4096 products of the largest: whole numbers in int32, of which eight lanes hold four a block."""
    x = torch.full((4096,), 1.0)
    room, p, out = np.zeros((N_VECTORS, 4096), np.float32), np.zeros(4096, np.int16), np.zeros(1, np.float32)
    int8 = Int8Linear(Int8(torch.full((1, 4096), -128, dtype=torch.int8), torch.ones(1, 1)), None)
    ones = torch.ones(1, 128, dtype=torch.float16)
    int4 = Int4Linear(Int4(pack(torch.full((1, 4096), 15, dtype=torch.uint8)), ones, 0 * ones), None)
    for layer, expected in ((int8, -128 * 4096), (int4, 15 * 4096)):
        matrix = matrix_of(layer)
        product(np.array(matrix.row, np.int64), 0, 1, x.numpy(), out, room, p)
        assert out[0] == pytest.approx(expected, rel=1e-6)  # t is 1 / 32,767, rounded; sums of 128 blocks


@pytest.mark.parametrize("size", [1e-25, 1.0, 1e30])
def test_inputs_are_rounded_to_the_nearest_step_of_their_block(size: float):
    torch.manual_seed(0)
    x = (torch.randn(I) * size * torch.tensor([1.0, 100.0, 0.0, 1e-5]).repeat_interleave(32)).numpy()
    room, p = np.zeros((N_VECTORS, I), np.float32), np.zeros(I, np.int16)
    round_inputs(x, 4, 32, p, room)
    step = room[0, :4].astype(np.float64)
    largest = np.abs(x.reshape(4, 32)).max(1)
    assert np.allclose(step, largest / LARGEST, rtol=1e-6, atol=0)
    blocks = p.reshape(4, 32).astype(np.float64)
    assert (np.abs(x.reshape(4, 32) - blocks * step[:, None]) <= 0.501 * step[:, None]).all()
    assert np.abs(blocks).max(1).tolist() == [LARGEST, LARGEST, 0, LARGEST]
    assert np.allclose(room[1, :4], step * blocks.sum(1), rtol=1e-6, atol=0)


@pytest.mark.parametrize("size", [9e-34, 1e-37, 1e-44])
def test_inputs_too_small_to_be_divided_by_count_as_zeros(size: float):
    x = (torch.linspace(-1, 1, 32) * size).numpy()  # 32,767 / 1e-37 would be infinite, and infinity · 0 no number
    room, p = np.full((N_VECTORS, 32), np.nan, np.float32), np.ones(32, np.int16)
    round_inputs(x, 1, 32, p, room)
    assert not p.any()
    assert room[1, 0] == 0


def test_every_float16_is_read():
    @compiled()
    def read(bits, out):  # type: ignore[no-untyped-def]
        for i in range(len(bits)):
            out[i] = half(bits[i])

    bits, out = np.arange(2**16, dtype=np.uint16), np.empty(2**16, np.float32)
    read(bits, out)
    assert np.array_equal(out, bits.view(np.float16).astype(np.float32), equal_nan=True)
