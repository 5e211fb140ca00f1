"""Attention against torch's, in float64: forward, gradients, masks, and the laws it obeys."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from groundup.layers.attention import (
    MultiHeadAttention,
    attention_weights,
    combine_heads,
    fused_attention,
    repeat_heads,
    scaled_dot_product_attention,
    softmax,
    split_heads,
)
from groundup.layers.blocked_attention import blocked_attention
from groundup.layers.masks import causal_mask, padding_mask

# In float64 a rounding is 1e-16; sums of some tens of terms of size 1 stay far below this, mistakes far above.
EXACT = 1e-12
BOTH = [scaled_dot_product_attention, fused_attention]


def random_qkv(B=2, H=4, G=4, T=5, S=5, K=8, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shapes = ((B, H, T, K), (B, G, S, K), (B, G, S, K))
    return [torch.randn(s, generator=generator, dtype=torch.float64).requires_grad_() for s in shapes]


def with_gradients(attend, inputs, **options):
    """Return the output and the gradients of a fixed random functional of it."""
    out = attend(*inputs, **options)
    probe = torch.randn(out.shape, generator=torch.Generator().manual_seed(9), dtype=out.dtype)
    return [out, *torch.autograd.grad((out * probe).sum(), inputs)]


def assert_same(ours, theirs, bound=EXACT):
    for a, b in zip(ours, theirs, strict=True):
        assert a.shape == b.shape
        assert (a - b).abs().max() <= bound


def test_softmax_equals_torch_and_does_not_overflow():
    x = torch.randn(3, 7, dtype=torch.float64).requires_grad_()
    probe = torch.randn(3, 7, dtype=torch.float64)
    ours, theirs = softmax(x), torch.softmax(x, -1)
    assert_same(
        [ours, *torch.autograd.grad((ours * probe).sum(), x)], [theirs, *torch.autograd.grad((theirs * probe).sum(), x)]
    )
    assert softmax(torch.tensor([1e4, -1e4])).tolist() == [1.0, 0.0]


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("rotated", [True, False])
def test_normalized_queries_and_keys_are_what_the_formula_says(rotated, fused):
    torch.manual_seed(0)
    layer = MultiHeadAttention(8, 4, n_kv_heads=2, qk_norm=True, norm_epsilon=1e-3, fused=fused).double()
    with torch.no_grad():
        layer.query_norm.weight.copy_(torch.tensor([0.5, 2.0]))
        layer.key_norm.weight.copy_(torch.tensor([3.0, -1.0]))
    x = torch.randn(2, 5, 8, dtype=torch.float64)
    rotation = (lambda h: h.flip(-2)) if rotated else None  # anything that acts after the norm

    def normalized(h, weight):
        h = h / (h.square().mean(-1, keepdim=True) + 1e-3).sqrt() * weight
        return h.flip(-2) if rotated else h

    q = normalized(split_heads(layer.query(x), 4), layer.query_norm.weight)
    k = normalized(split_heads(layer.key(x), 2), layer.key_norm.weight)
    heads = F.scaled_dot_product_attention(q, k, split_heads(layer.value(x), 2), is_causal=True, enable_gqa=True)
    assert_same([layer(x, is_causal=True, rotation=rotation)], [layer.output(combine_heads(heads))])


def test_training_in_bfloat16_on_a_cpu_without_causality_attends_in_float32():
    q, k, v = (x.detach().bfloat16() for x in random_qkv())
    mask = padding_mask(torch.tensor([5, 3]), 5)
    for options in ({"mask": mask}, {}):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            wide = fused_attention(q, k, v, training=True, **options)
        exact = fused_attention(q.double(), k.double(), v.double(), **options)
        assert wide.dtype == torch.bfloat16
        # float32 inside, rounded to bfloat16 once: half a unit of the last of its 8 bits
        assert ((wide - exact).abs() <= exact.abs() * 2**-8 + 1e-6).all()


@pytest.mark.parametrize("masked", [False, True])
def test_causal_training_in_bfloat16_on_a_cpu_goes_by_blocks(masked: bool):
    q, k, v = (x.detach().bfloat16() for x in random_qkv())
    mask = padding_mask(torch.tensor([5, 3]), 5) if masked else None
    found = fused_attention(q, k, v, mask=mask, is_causal=True, training=True)
    heads = (repeat_heads(x, q.shape[1]) for x in (k, v))
    assert torch.equal(found, blocked_attention(q, *heads, mask=mask))
    expected = scaled_dot_product_attention(q.double(), k.double(), v.double(), mask=mask, is_causal=True)
    # scores, weights and results are each rounded to 8 bits
    torch.testing.assert_close(found.double(), expected, rtol=0.02, atol=0.02)


def test_each_number_is_what_the_formula_says():
    q, k, v = (x.detach() for x in random_qkv(B=1, H=1, G=1, T=3, S=4, K=2))
    out = scaled_dot_product_attention(q, k, v)
    for t in range(3):
        scores = [sum(q[0, 0, t, i] * k[0, 0, s, i] for i in range(2)) / math.sqrt(2) for s in range(4)]
        total = sum(math.exp(score) for score in scores)
        for i in range(2):
            expected = sum(math.exp(scores[s]) / total * v[0, 0, s, i] for s in range(4))
            assert abs(out[0, 0, t, i] - expected) <= EXACT


@pytest.mark.parametrize("attend", BOTH)
@pytest.mark.parametrize("masked", [False, True])
def test_equals_torch_forward_and_gradients(attend, masked):
    inputs = random_qkv(T=5, S=7)
    mask = padding_mask(torch.tensor([3, 7]), 7) if masked else None
    assert_same(
        with_gradients(attend, inputs, mask=mask),
        with_gradients(lambda q, k, v: F.scaled_dot_product_attention(q, k, v, attn_mask=mask), inputs),
    )


@pytest.mark.parametrize("attend", BOTH)
def test_causal_equals_torch_forward_and_gradients(attend):
    inputs = random_qkv()
    assert_same(
        with_gradients(attend, inputs, is_causal=True),
        with_gradients(lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True), inputs),
    )


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_fused_equals_by_hand_for_any_mask(data):
    G, group = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3))
    T, S = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 6))
    inputs = random_qkv(B=2, H=G * group, G=G, T=T, S=S, K=4, seed=data.draw(st.integers(0, 99)))
    shape = data.draw(st.sampled_from([None, (T, S), (2, 1, 1, S), (2, 1, T, S), (2, G * group, T, S)]))
    mask = None
    if shape is not None:
        size = math.prod(shape)
        mask = torch.tensor(data.draw(st.lists(st.booleans(), min_size=size, max_size=size))).reshape(shape)
    is_causal = data.draw(st.booleans())  # with T > S, its first rows may attend to nothing
    by_hand, fused = (with_gradients(attend, inputs, mask=mask, is_causal=is_causal) for attend in BOTH)
    assert all(x.isfinite().all() for x in by_hand + fused)
    assert_same(fused, by_hand)


@pytest.mark.parametrize("attend", BOTH)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_fully_masked_row_gives_zeros_never_nan(attend, dtype):
    inputs = [x.detach().to(dtype).requires_grad_() for x in random_qkv(T=3, S=4)]
    mask = torch.ones(3, 4, dtype=torch.bool)
    mask[1] = False
    out, dq, dk, dv = with_gradients(attend, inputs, mask=mask)
    assert out[:, :, 1].eq(0).all()
    assert dq[:, :, 1].eq(0).all()
    assert all(x.isfinite().all() for x in (out, dq, dk, dv))
    assert out[:, :, [0, 2]].ne(0).all()


@pytest.mark.parametrize("attend", BOTH)
def test_gradients_with_a_blind_row_are_those_without_it(attend):
    q, k, v = random_qkv(T=3, S=4)
    mask = torch.ones(3, 4, dtype=torch.bool)
    mask[2] = False
    out, dq, dk, dv = with_gradients(attend, (q, k, v), mask=mask)
    probe = torch.randn(out.shape, generator=torch.Generator().manual_seed(9), dtype=out.dtype)[:, :, :2]
    seeing = F.scaled_dot_product_attention(q[:, :, :2], k, v)
    expected = torch.autograd.grad((seeing * probe).sum(), (q, k, v))
    assert_same([out[:, :, :2], dq, dk, dv], [seeing, *expected])


@pytest.mark.parametrize("attend", BOTH)
def test_everything_masked_gives_zeros_and_no_gradient(attend):
    inputs = random_qkv()
    for x in with_gradients(attend, inputs, mask=torch.zeros(5, 5, dtype=torch.bool)):
        assert x.eq(0).all()


def test_weights_sum_to_one_or_to_zero_for_a_blind_row():
    q, k, _ = random_qkv(T=3, S=3)
    mask = torch.tensor([[True, False, False], [False, False, False], [True, True, True]])
    sums = attention_weights(q, k, mask).sum(-1)
    assert torch.allclose(sums, torch.tensor([1.0, 0.0, 1.0], dtype=torch.float64).expand_as(sums), atol=EXACT)


def test_masked_keys_get_exactly_zero_weight_even_with_huge_scores():
    q = k = torch.full((1, 1, 2, 4), 1e4)
    weights = attention_weights(q, k, causal_mask(2))
    assert weights[0, 0, 0].tolist() == [1.0, 0.0]


@pytest.mark.parametrize("attend", BOTH)
def test_the_future_does_not_reach_the_past(attend):
    q, k, v = (x.detach() for x in random_qkv(T=6, S=6))
    before = attend(q, k, v, is_causal=True)
    k[:, :, 4:], v[:, :, 4:] = 100.0, -100.0
    after = attend(q, k, v, is_causal=True)
    assert torch.equal(before[:, :, :4], after[:, :, :4])  # bit for bit: the weight is 0, not small
    assert not torch.allclose(before[:, :, 4:], after[:, :, 4:])


@pytest.mark.parametrize("attend", BOTH)
def test_grouped_heads_equal_repeated_ones(attend):
    q, k, v = random_qkv(H=6, G=2)
    repeated = [k[:, [0, 0, 0, 1, 1, 1]], v[:, [0, 0, 0, 1, 1, 1]]]
    assert_same([attend(q, k, v)], [attend(q, *repeated)])
    assert torch.equal(repeat_heads(k, 6), repeated[0])


@pytest.mark.parametrize("attend", BOTH)
def test_dropout_acts_only_while_training_and_keeps_the_mean(attend):
    torch.manual_seed(0)
    q, k, v = (torch.ones(1, 1, 4_000, 2), torch.ones(1, 1, 8, 2), torch.ones(1, 1, 8, 2))
    assert torch.allclose(attend(q, k, v, dropout=0.5, training=False), torch.ones(()))
    dropped = attend(q, k, v, dropout=0.5, training=True)[0, 0, :, 0]
    # each output is Binomial(8, 1/2) / 4: mean 1, deviation 0.354, so the mean of 4,000 has 0.0056; 5 of those
    assert abs(dropped.mean() - 1) < 0.028
    assert torch.allclose(dropped * 4, (dropped * 4).round(), atol=1e-5)
    assert dropped.unique().numel() > 2


def test_combine_heads_undoes_split_heads():
    x = torch.randn(2, 3, 12)
    heads = split_heads(x, 4)
    assert heads.shape == (2, 4, 3, 3)
    assert torch.equal(heads[1, 2, 0], x[1, 0, 6:9])
    assert heads.data_ptr() == x.data_ptr()  # a view
    assert torch.equal(combine_heads(heads), x)


def copy_from_torch(ours, theirs):
    """Give our layer the weights of an `nn.MultiheadAttention`, which keeps query, key and value in one matrix."""
    with torch.no_grad():
        for name, weight, bias in zip(
            ("query", "key", "value"), theirs.in_proj_weight.chunk(3), theirs.in_proj_bias.chunk(3), strict=True
        ):
            getattr(ours, name).weight.copy_(weight)
            getattr(ours, name).bias.copy_(bias)
        ours.output.load_state_dict(theirs.out_proj.state_dict())


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("kind", ["self", "causal", "cross"])
def test_multi_head_attention_equals_torch(fused, kind):
    torch.manual_seed(0)
    theirs = nn.MultiheadAttention(12, 3, batch_first=True, dtype=torch.float64)
    nn.init.normal_(theirs.in_proj_bias)
    nn.init.normal_(theirs.out_proj.bias)
    ours = MultiHeadAttention(12, 3, fused=fused).double()
    copy_from_torch(ours, theirs)
    x = torch.randn(2, 4, 12, dtype=torch.float64).requires_grad_()
    context = torch.randn(2, 6, 12, dtype=torch.float64).requires_grad_() if kind == "cross" else x
    mask = padding_mask(torch.tensor([2, context.shape[1]]), context.shape[1])
    is_causal = kind == "causal"
    out = ours(x, context if kind == "cross" else None, mask=mask, is_causal=is_causal)
    expected, _ = theirs(  # in torch's masks True means "may not"
        x,
        context,
        context,
        key_padding_mask=~mask[:, 0, 0],
        attn_mask=~causal_mask(4) if is_causal else None,
        need_weights=False,
    )
    assert_same([out], [expected])
    probe = torch.randn_like(out)
    inputs = {x, context}
    (out * probe).sum().backward()
    gradients = [t.grad.clone() for t in inputs]
    for t in inputs:
        t.grad = None
    (expected * probe).sum().backward()
    assert_same(gradients, [t.grad for t in inputs])
    projections = (ours.query, ours.key, ours.value)
    assert_same([torch.cat([p.weight.grad for p in projections])], [theirs.in_proj_weight.grad])
    assert_same([torch.cat([p.bias.grad for p in projections])], [theirs.in_proj_bias.grad])
    assert_same(
        [ours.output.weight.grad, ours.output.bias.grad], [theirs.out_proj.weight.grad, theirs.out_proj.bias.grad]
    )


def test_grouped_query_attention_equals_full_attention_with_repeated_weights():
    torch.manual_seed(0)
    grouped = MultiHeadAttention(12, 6, n_kv_heads=2).double()
    full = MultiHeadAttention(12, 6).double()
    weights = grouped.state_dict()
    for name in ("key", "value"):
        for kind in ("weight", "bias"):
            heads = weights[f"{name}.{kind}"].unflatten(0, (2, 2))  # 2 heads of width 2
            weights[f"{name}.{kind}"] = heads.repeat_interleave(3, dim=0).flatten(0, 1)
    full.load_state_dict(weights)
    x = torch.randn(2, 5, 12, dtype=torch.float64)
    assert_same([grouped(x, is_causal=True)], [full(x, is_causal=True)])


@pytest.mark.parametrize("fused", [True, False])
def test_without_positions_or_mask_order_does_not_matter(fused):
    torch.manual_seed(0)
    attention = MultiHeadAttention(8, 2, fused=fused).double()
    x, order = torch.randn(1, 6, 8, dtype=torch.float64), torch.tensor([3, 0, 5, 1, 4, 2])
    assert_same([attention(x[:, order])], [attention(x)[:, order]])


def test_heads_must_divide_the_width_and_each_other():
    with pytest.raises(ValueError, match="multiple of n_heads=3, found 8"):
        MultiHeadAttention(8, 3)
    with pytest.raises(ValueError, match="multiple of n_kv_heads=3, found 4"):
        MultiHeadAttention(8, 4, n_kv_heads=3)


def test_queries_keys_and_values_can_have_a_bias_alone():
    torch.manual_seed(0)
    attention, plain = MultiHeadAttention(8, 2, bias=False, qkv_bias=True), MultiHeadAttention(8, 2, bias=False)
    assert {name for name, _ in attention.named_parameters() if "bias" in name} == {
        "query.bias", "key.bias", "value.bias"
    }  # fmt: skip
    plain.load_state_dict({name: weight for name, weight in attention.state_dict().items() if "bias" not in name})
    x = torch.randn(1, 3, 8)
    for name in ("query", "key", "value"):
        projected = getattr(plain, name)(x) + getattr(attention, name).bias
        assert torch.allclose(getattr(attention, name)(x), projected, atol=1e-6)  # float32: one sum rounded otherwise
    assert not torch.allclose(attention(x), plain(x), atol=1e-3)
