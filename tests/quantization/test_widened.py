"""Matrices laid out in float32 against the numbers that their bits stand for."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.quantization.int4 import quantize_int4
from groundup.quantization.int4_linear import Int4Linear
from groundup.quantization.int8 import quantize_int8
from groundup.quantization.int8_linear import Int8Linear
from groundup.quantization.kernels import has_kernels, matrix_of
from groundup.quantization.widened import widen

pytestmark = pytest.mark.skipif(not has_kernels(), reason="numba is not installed")

KINDS = {
    "rows": lambda W: Int8Linear(quantize_int8(W), None),
    "affine": lambda W: Int8Linear(quantize_int8(W + 1, symmetric=False), None),
    "whole": lambda W: Int8Linear(quantize_int8(W, by_row=False), None),
    "groups": lambda W: Int8Linear(quantize_int8(W, group_size=32), None),
    "int4": lambda W: Int4Linear(quantize_int4(W, group_size=32), None),
    "int4 128": lambda W: Int4Linear(quantize_int4(W, group_size=128), None),
    "int4 scaled": lambda W: Int4Linear(quantize_int4(W, group_size=64), None, input_scale=torch.rand(W.shape[1])),
}


@settings(max_examples=25, derandomize=True, deadline=None)
@given(
    kind=st.sampled_from(list(KINDS)),
    n_rows=st.integers(1, 12),
    groups=st.integers(1, 4),
    ends=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_rows_are_those_that_the_bits_stand_for(kind: str, n_rows: int, groups: int, ends: tuple[float, float]):
    torch.manual_seed(n_rows)
    layer = KINDS[kind](torch.randn(n_rows, 128 * groups))
    first, last = sorted(int(end * n_rows) for end in ends)
    out = np.full((last - first, 128 * groups), np.nan, np.float32)
    matrix = matrix_of(layer)  # it keeps the memory
    widen(np.array(matrix.row, np.int64), first, last, out)
    expected = layer.kept.dequantized()[first:last].numpy()  # of a scaled one without the scale of the inputs
    # q s + m may be rounded once here, and is twice there: a step of float32 at the largest of their sizes, 255 steps
    largest = 255 * float(layer.scale.float().max()) + (0 if kind[:4] != "int4" else float(layer.minimum.abs().max()))
    assert (np.abs(out - expected) <= 2**-22 * largest).all()
