"""Blocks against torch's encoder and decoder layers, in float64: forward and every gradient."""

import pytest
import torch
from torch import nn

from groundup.layers.blocks import DecoderBlock, EncoderBlock, GPTBlock, residual
from groundup.layers.kv_cache import KVCache
from groundup.layers.masks import causal_mask, padding_mask

EXACT = 1e-12  # float64 rounds at 1e-16; a block sums some hundreds of terms of size 1
SIZES = {"d_model": 12, "n_heads": 3, "d_ff": 20}

NAMES = {  # torch's name -> ours; the in_proj matrices hold query, key and value
    "self_attn": "attention",
    "multihead_attn": "cross_attention",
    "linear1": "feed_forward.up",
    "linear2": "feed_forward.down",
}
NORMS = {
    nn.TransformerEncoderLayer: {"norm1": "attention_norm", "norm2": "feed_forward_norm"},
    nn.TransformerDecoderLayer: {
        "norm1": "attention_norm",
        "norm2": "cross_attention_norm",
        "norm3": "feed_forward_norm",
    },
}


def by_our_names(theirs, tensors):
    """Return tensors named as in torch's layer under the names of ours."""
    renamed = {}
    for name, tensor in tensors.items():
        head, _, rest = name.partition(".")
        ours = (NAMES | NORMS[type(theirs)])[head]
        if rest.startswith("in_proj"):
            kind = rest.removeprefix("in_proj_")
            for part, chunk in zip(("query", "key", "value"), tensor.chunk(3), strict=True):
                renamed[f"{ours}.{part}.{kind}"] = chunk
        else:
            renamed[f"{ours}.{rest.replace('out_proj', 'output')}"] = tensor
    return renamed


def torch_layer(kind, norm_first, activation):
    layer = kind(
        12, 3, 20, dropout=0.0, activation=activation, batch_first=True, norm_first=norm_first, dtype=torch.float64
    )
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=0.5)
    return layer


def copied(block, theirs):
    block.double().load_state_dict(by_our_names(theirs, theirs.state_dict()))
    return block


def assert_same_forward_and_gradients(ours, theirs, out, expected, inputs):
    assert (out - expected).abs().max() <= EXACT
    probe = torch.randn(out.shape, generator=torch.Generator().manual_seed(9), dtype=out.dtype)
    for x in inputs:
        x.grad = None
    (out * probe).sum().backward()
    gradients = [x.grad.clone() for x in inputs]
    for x in inputs:
        x.grad = None
    (expected * probe).sum().backward()
    for a, x in zip(gradients, inputs, strict=True):
        assert (a - x.grad).abs().max() <= EXACT
    named = by_our_names(theirs, {name: p.grad for name, p in theirs.named_parameters()})
    assert named.keys() == dict(ours.named_parameters()).keys()
    for name, parameter in ours.named_parameters():
        # gradients of weights sum over all positions and reach 100: relative to their size
        assert (parameter.grad - named[name]).abs().max() <= EXACT * max(1.0, named[name].abs().max().item()), name


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("norm_order", ["pre", "post"])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_encoder_block_equals_torch(norm_order, activation, fused):
    torch.manual_seed(0)
    theirs = torch_layer(nn.TransformerEncoderLayer, norm_order == "pre", activation)
    ours = copied(EncoderBlock(**SIZES, activation=activation, norm_order=norm_order, fused=fused), theirs)
    x = torch.randn(2, 5, 12, dtype=torch.float64, requires_grad=True)
    mask = padding_mask(torch.tensor([3, 5]), 5)
    expected = theirs(x, src_key_padding_mask=~mask[:, 0, 0])  # torch: True = padding
    assert_same_forward_and_gradients(ours, theirs, ours(x, mask=mask), expected, [x])


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("norm_order", ["pre", "post"])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_decoder_block_equals_torch(norm_order, activation, fused):
    torch.manual_seed(0)
    theirs = torch_layer(nn.TransformerDecoderLayer, norm_order == "pre", activation)
    ours = copied(DecoderBlock(**SIZES, activation=activation, norm_order=norm_order, fused=fused), theirs)
    x = torch.randn(2, 4, 12, dtype=torch.float64, requires_grad=True)
    encoded = torch.randn(2, 6, 12, dtype=torch.float64, requires_grad=True)
    mask, encoded_mask = padding_mask(torch.tensor([4, 2]), 4), padding_mask(torch.tensor([3, 6]), 6)
    expected = theirs(
        x,
        encoded,
        tgt_mask=~causal_mask(4),
        tgt_key_padding_mask=~mask[:, 0, 0],
        memory_key_padding_mask=~encoded_mask[:, 0, 0],
    )
    out = ours(x, encoded, mask=mask, encoded_mask=encoded_mask)
    assert_same_forward_and_gradients(ours, theirs, out, expected, [x, encoded])


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("norm_order", ["pre", "post"])
def test_gpt_block_equals_torch_encoder_layer_with_a_causal_mask(norm_order, fused):
    torch.manual_seed(0)
    theirs = torch_layer(nn.TransformerEncoderLayer, norm_order == "pre", "gelu")
    ours = copied(GPTBlock(**SIZES, activation="gelu", norm_order=norm_order, fused=fused), theirs)
    x = torch.randn(2, 5, 12, dtype=torch.float64, requires_grad=True)
    expected = theirs(x, src_mask=~causal_mask(5))
    assert_same_forward_and_gradients(ours, theirs, ours(x), expected, [x])


@pytest.mark.parametrize("norm_order", ["pre", "post"])
def test_stacked_blocks_equal_torchs_stack(norm_order):
    torch.manual_seed(0)
    layer = torch_layer(nn.TransformerEncoderLayer, norm_order == "pre", "gelu")
    theirs = nn.TransformerEncoder(layer, num_layers=3, enable_nested_tensor=False)
    blocks = [copied(EncoderBlock(**SIZES, norm_order=norm_order), each) for each in theirs.layers]
    x = torch.randn(2, 5, 12, dtype=torch.float64)
    mask = padding_mask(torch.tensor([3, 5]), 5)
    expected, out = theirs(x, src_key_padding_mask=~mask[:, 0, 0]), x
    for block in blocks:
        out = block(out, mask=mask)
    assert (out - expected).abs().max() <= 1e-10  # three blocks with weights of 0.5 enlarge roundings some hundredfold


def test_padding_changes_nothing_for_the_real_positions():
    torch.manual_seed(0)
    block = EncoderBlock(**SIZES).double()
    x = torch.randn(1, 3, 12, dtype=torch.float64)
    padded = torch.cat((x, torch.full((1, 4, 12), 1e3, dtype=torch.float64)), dim=1)
    out = block(padded, mask=padding_mask(torch.tensor([3]), 7))
    assert (out[:, :3] - block(x)).abs().max() <= EXACT


def test_padding_of_the_encoded_sequence_changes_nothing():
    torch.manual_seed(0)
    block = DecoderBlock(**SIZES).double()
    x, encoded = torch.randn(1, 4, 12, dtype=torch.float64), torch.randn(1, 3, 12, dtype=torch.float64)
    padded = torch.cat((encoded, torch.full((1, 2, 12), 1e3, dtype=torch.float64)), dim=1)
    out = block(x, padded, encoded_mask=padding_mask(torch.tensor([3]), 5))
    assert (out - block(x, encoded)).abs().max() <= EXACT


def test_decoder_block_hides_the_future_but_not_the_encoded_sequence():
    torch.manual_seed(0)
    block = DecoderBlock(**SIZES).double()
    x, encoded = torch.randn(1, 5, 12, dtype=torch.float64), torch.randn(1, 3, 12, dtype=torch.float64)
    before = block(x, encoded)
    x[:, 3:] += 1.0
    after = block(x, encoded)
    assert (before[:, :3] - after[:, :3]).abs().max() <= EXACT
    assert (before[:, 3:] - after[:, 3:]).abs().min(-1).values.max() > 1e-3
    encoded[:, 2] += 1.0
    assert (block(x, encoded)[:, 0] - after[:, 0]).abs().max() > 1e-3


@torch.no_grad()
@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("norm_order", ["pre", "post"])
def test_decoder_block_in_pieces_equals_at_once(norm_order, fused):
    torch.manual_seed(0)
    block = DecoderBlock(**SIZES, norm_order=norm_order, fused=fused).double()
    x, encoded = torch.randn(2, 6, 12, dtype=torch.float64), torch.randn(2, 3, 12, dtype=torch.float64)
    cache = KVCache(n_layers=1, batch_size=2, n_kv_heads=3, capacity=6, d_head=4, dtype=torch.float64)
    pieces = []
    for piece in x.split([3, 1, 2], dim=1):
        pieces.append(block(piece, encoded, cache=cache.layer(0)))
        cache.advance(piece.shape[1])
    assert (torch.cat(pieces, dim=1) - block(x, encoded)).abs().max() <= EXACT


def test_a_sequence_that_is_all_padding_stays_finite():
    torch.manual_seed(0)
    block = EncoderBlock(**SIZES)
    x = torch.randn(2, 4, 12, requires_grad=True)
    block(x, mask=padding_mask(torch.tensor([0, 4]), 4)).square().sum().backward()
    assert x.grad.isfinite().all()
    assert all(p.grad.isfinite().all() for p in block.parameters())


def test_post_norm_output_has_mean_zero_and_deviation_one():
    out = EncoderBlock(**SIZES, norm_order="post")(torch.randn(2, 5, 12) * 9)
    assert out.mean(-1).abs().max() < 1e-6
    assert (out.std(-1, unbiased=False) - 1).abs().max() < 1e-3  # epsilon = 1e-5 beside the variance


def test_dropout_silences_the_sublayer_not_the_residual():
    x, norm = torch.randn(2, 3, 4), nn.LayerNorm(4)
    assert torch.equal(residual(x, torch.exp, norm=norm, dropout=torch.zeros_like, order="pre"), x)
    assert torch.equal(residual(x, torch.exp, norm=norm, dropout=torch.zeros_like, order="post"), norm(x))


@pytest.mark.parametrize("block", [GPTBlock(**SIZES, dropout=0.3), EncoderBlock(**SIZES, dropout=0.3)])
def test_dropout_acts_only_while_training(block):
    x = torch.randn(1, 4, 12)
    assert not torch.equal(block(x), block(x))
    block.eval()
    assert torch.equal(block(x), block(x))
    block.train().dropout.p = 0.0  # that of the sublayers' outputs; left is that of the attention weights
    assert not torch.equal(block(x), block(x))
    block.dropout.p, block.attention.dropout = 0.3, 0.0
    assert not torch.equal(block(x), block(x))
    block.dropout.p = 0.0
    assert torch.equal(block(x), block(x))


def test_no_bias_means_no_bias_anywhere():
    for block in (GPTBlock(**SIZES, bias=False), EncoderBlock(**SIZES, bias=False), DecoderBlock(**SIZES, bias=False)):
        assert not [name for name, _ in block.named_parameters() if name.endswith("bias")]
