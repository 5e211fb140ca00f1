"""The token embedding against torch's and against the product it stands for."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from groundup.layers.embedding import TokenEmbedding

TOKENS = torch.tensor([[1, 4, 1], [0, 1, 3]])


def gradient(out, weight):
    probe = torch.randn(out.shape, generator=torch.Generator().manual_seed(9), dtype=out.dtype)
    return torch.autograd.grad((out * probe).sum(), weight)[0]


def test_equals_torch_and_one_hot_product_forward_and_gradient():
    ours = TokenEmbedding(5, 3).double()
    theirs = nn.Embedding(5, 3).double()
    theirs.load_state_dict(ours.state_dict())
    product = F.one_hot(TOKENS, 5).double() @ ours.weight
    assert torch.equal(ours(TOKENS), theirs(TOKENS))
    assert torch.equal(ours(TOKENS), product)
    expected = gradient(theirs(TOKENS), theirs.weight)
    assert torch.equal(gradient(ours(TOKENS), ours.weight), expected)
    # sums of three terms in another order: one float64 rounding
    assert (gradient(product, ours.weight) - expected).abs().max() <= 1e-15
    assert expected[2].eq(0).all()  # a token that does not occur


def test_scale_multiplies_every_vector():
    embedding = TokenEmbedding(5, 4, scale=2.0)
    assert torch.equal(embedding(TOKENS), embedding.weight[TOKENS] * 2)


def test_a_token_outside_the_vocabulary_is_an_error():
    with pytest.raises(IndexError):
        TokenEmbedding(5, 3)(torch.tensor([[5]]))
