"""A token table in few bits does what a `TokenEmbedding` of the same numbers does."""

import pytest
import torch

from groundup.layers.embedding import TokenEmbedding
from groundup.quantization.embedding import QuantizedEmbedding, rows_of
from groundup.quantization.int4 import Int4, quantize_int4
from groundup.quantization.int8 import Int8, quantize_int8

KINDS = {
    "int4": lambda x: quantize_int4(x, group_size=32),
    "int4, group 64": lambda x: quantize_int4(x, group_size=64),
    "int8": quantize_int8,
    "int8, affine": lambda x: quantize_int8(x, symmetric=False),
    "int8, one scale": lambda x: quantize_int8(x, by_row=False),
    "int8, groups": lambda x: Int8(quantize_int8(x).values, torch.rand(len(x), 2).half()),
}


@pytest.fixture(params=KINDS.values(), ids=KINDS)
def kept(request: pytest.FixtureRequest) -> Int4 | Int8:
    torch.manual_seed(0)
    found: Int4 | Int8 = request.param(torch.randn(50, 64))
    return found


def test_it_does_what_a_table_of_these_numbers_does(kept: Int4 | Int8):
    ours, theirs = QuantizedEmbedding(kept, factor=3.0), TokenEmbedding(50, 64, scale=3.0)
    theirs.weight.data = kept.dequantized()
    tokens, hidden = torch.tensor([[49, 0, 0], [7, 8, 9]]), torch.randn(2, 3, 64)
    assert torch.equal(ours(tokens), theirs(tokens))
    assert torch.equal(ours.project(hidden), theirs.project(hidden))
    assert (ours.n_quantized, ours.n_bytes) == (50 * 64, kept.n_bytes)
    assert list(ours.parameters()) == []


def test_rows_are_those_of_the_matrix(kept: Int4 | Int8):
    rows = torch.tensor([3, 3, 0, 49])
    assert torch.equal(rows_of(kept, rows).dequantized(), kept.dequantized()[rows])


@pytest.mark.parametrize("token", [-1, 50])
def test_a_token_that_is_not_there_is_an_index_error(kept: Int4 | Int8, token: int):
    with pytest.raises(IndexError):
        QuantizedEmbedding(kept)(torch.tensor([[0, token]]))


def test_a_gradient_goes_through_the_tied_head(kept: Int4 | Int8):
    hidden = torch.randn(3, 64, requires_grad=True)
    QuantizedEmbedding(kept).project(hidden).sum().backward()
    expected = kept.dequantized().sum(0).expand(3, -1)
    torch.testing.assert_close(
        hidden.grad, expected, atol=1e-4, rtol=0
    )  # sums of 50 numbers of size 1 in another order


def test_moving_a_model_to_another_format_leaves_the_bits(kept: Int4 | Int8):
    embedding = QuantizedEmbedding(kept)
    before = {name: buffer.clone() for name, buffer in embedding.named_buffers()}
    for moved in (embedding.half(), embedding.double(), embedding.to("cpu")):
        after = dict(moved.named_buffers())
        assert all(after[name].dtype == t.dtype and torch.equal(after[name], t) for name, t in before.items())
