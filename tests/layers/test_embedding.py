"""The token embedding, by hand and by torch's kernel, against torch's and against the product it stands for."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from groundup.layers.embedding import TokenEmbedding, embedding

TOKENS = torch.tensor([[1, 4, 1], [0, 1, 3]])
V, D = 5, 3


def direction(*shape: int, dtype: torch.dtype = torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(9), dtype=dtype)


def gradient(out, weight):
    return torch.autograd.grad(out, weight, direction(*out.shape, dtype=out.dtype))[0]


def pair(*, fused: bool, sparse: bool):
    ours, theirs = TokenEmbedding(V, D, fused=fused, sparse=sparse), nn.Embedding(V, D, sparse=sparse)
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


@pytest.mark.parametrize("fused", [True, False])
def test_equals_torch_and_one_hot_product_forward_and_gradient(fused):
    ours, theirs = (layer.double() for layer in pair(fused=fused, sparse=False))
    product = F.one_hot(TOKENS, V).double() @ ours.weight
    assert torch.equal(ours(TOKENS), theirs(TOKENS))
    assert torch.equal(ours(TOKENS), product)
    expected = gradient(theirs(TOKENS), theirs.weight)
    # a token's rows are added one after the other, in torch's kernel too; threads divide the table, not the sums
    assert torch.equal(gradient(ours(TOKENS), ours.weight), expected)
    # sums of three terms in another order: one float64 rounding
    assert (gradient(product, ours.weight) - expected).abs().max() <= 1e-15
    assert expected[2].eq(0).all()  # a token that does not occur


@pytest.mark.parametrize("fused", [True, False])
def test_sparse_gradient_is_torchs_place_by_place(fused):
    ours, theirs = pair(fused=fused, sparse=True)
    found, expected = (gradient(layer(TOKENS), layer.weight) for layer in (ours, theirs))
    assert found.is_sparse
    assert found.is_coalesced() == expected.is_coalesced()
    assert torch.equal(found._indices(), expected._indices())
    assert torch.equal(found._values(), expected._values())
    assert found._values().shape == (TOKENS.numel(), D)  # a row for each token, whatever V is
    # the same numbers added in another order: sums of three in float32
    dense = gradient(embedding(TOKENS, ours.weight), ours.weight)
    assert (found.to_dense() - dense).abs().max() <= 1e-6


@settings(deadline=None, max_examples=25, derandomize=True)
@given(shape=st.lists(st.integers(0, 4), max_size=3), n_rows=st.integers(1, 6), sparse=st.booleans())
def test_scatter_add_is_the_adjoint_of_the_lookup(shape, n_rows, sparse):
    """<lookup(W), dy> = <W, gradient>: what a gradient is, for tokens of any shape, none and one included."""
    tokens = torch.randint(n_rows, shape, generator=torch.Generator().manual_seed(len(shape)))
    weight = direction(n_rows, D).requires_grad_()
    out, dy = embedding(tokens, weight, sparse=sparse), direction(*shape, D)
    assert out.shape == (*shape, D)
    (found,) = torch.autograd.grad(out, weight, dy)
    # at most 64 · 3 products of numbers near 1, in float64
    assert abs(float((out.detach() * dy).sum() - (weight.detach() * found.to_dense()).sum())) <= 1e-12


def test_gradients_and_gradients_of_gradients_are_those_of_finite_differences():
    weight = direction(V, D).requires_grad_()
    assert torch.autograd.gradcheck(lambda table: embedding(TOKENS, table), weight)
    assert torch.autograd.gradgradcheck(lambda table: embedding(TOKENS, table).square(), weight)


def test_the_table_is_not_kept_for_the_backward_pass():
    weight = direction(V, D).requires_grad_()
    out = embedding(TOKENS, weight)
    assert [kept.data_ptr() for kept in out.grad_fn.saved_tensors] == [TOKENS.data_ptr()]
    with torch.no_grad():
        weight.zero_()  # an optimizer's step before the backward pass: what was kept is still right
    assert gradient(out, weight)[1].ne(0).all()


def test_sparse_gradients_of_two_batches_add_up():
    weight = direction(V, D).requires_grad_()
    for _ in range(2):
        embedding(TOKENS, weight, sparse=True).sum().backward()
    assert weight.grad.is_sparse
    assert weight.grad.to_dense()[:, 0].tolist() == [2, 6, 0, 2, 2]


def test_a_tied_head_makes_a_sparse_gradient_dense():
    ours, theirs = pair(fused=False, sparse=True)
    for layer in (ours, theirs):
        layer(TOKENS).sum().backward()
        F.linear(torch.ones(2, D), layer.weight).sum().backward()
    assert not ours.weight.grad.is_sparse
    assert torch.equal(ours.weight.grad, theirs.weight.grad)
    assert ours.weight.grad[2].eq(2).all()  # a token that does not occur is scored all the same


@pytest.mark.parametrize("fused", [True, False])
def test_scale_multiplies_every_vector_and_gradient(fused):
    layer = TokenEmbedding(V, 4, scale=2.0, fused=fused)
    assert torch.equal(layer(TOKENS), layer.weight[TOKENS] * 2)
    layer(TOKENS).sum().backward()
    assert layer.weight.grad[:, 0].tolist() == [2, 6, 0, 2, 2]


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("token", [V, -1])
def test_a_token_outside_the_vocabulary_is_an_error(fused, token):
    with pytest.raises(IndexError):
        TokenEmbedding(V, D, fused=fused)(torch.tensor([[token]]))


def test_a_frozen_table_needs_no_gradient():
    assert not embedding(TOKENS, direction(V, D)).requires_grad
