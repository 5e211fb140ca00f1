"""Widened blocks against the `gguf` package's, bit for bit, for any bytes at all."""

import gguf
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from groundup.weights.gguf_blocks import BLOCKS, dequantize


@pytest.mark.parametrize("kind", BLOCKS)
@settings(max_examples=30, derandomize=True)
@given(content=st.data())
def test_any_bytes_become_the_same_floats(kind: int, content: st.DataObject):
    block = BLOCKS[kind]
    n_blocks = content.draw(st.integers(1, 40))
    stored = content.draw(arrays.arrays(np.uint8, (n_blocks, block.dtype.itemsize), elements=st.integers(0, 255)))
    ours = dequantize(stored.view(block.dtype).reshape(-1), block)
    with np.errstate(all="ignore"):
        theirs = gguf.dequantize(stored.reshape(1, -1), gguf.GGMLQuantizationType(kind))
    assert np.array_equal(ours.view(np.uint32), theirs.reshape(-1).view(np.uint32))


@pytest.mark.parametrize("kind", BLOCKS)
def test_tensors_longer_than_one_piece(kind: int):
    block = BLOCKS[kind]
    assert block.name == gguf.GGMLQuantizationType(kind).name
    assert (block.n_numbers, block.dtype.itemsize) == gguf.GGML_QUANT_SIZES[kind]
    values = np.random.default_rng(0).standard_normal((5, 32 * 1024)).astype(np.float32)
    stored = gguf.quantize(values, gguf.GGMLQuantizationType(kind))
    ours = dequantize(stored.view(np.uint8).reshape(-1).view(block.dtype), block)
    theirs = gguf.dequantize(stored, gguf.GGMLQuantizationType(kind))
    assert np.array_equal(ours.view(np.uint32), theirs.reshape(-1).view(np.uint32))
