"""Attention against torch's kernel and finite differences: grouped heads, masks, dropout, strides and empty sizes."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.engine.autograd import apply
from groundup.engine.errors import DTypeError, ShapeError
from groundup.engine.gradcheck import gradcheck
from groundup.engine.ops.attention import attention
from groundup.engine.tensor import Tensor

BOUND = 1e-12  # float64: sums of up to ten products of size 1, in another order


def inputs(B, G, R, T, S, K, width, seed=0):
    """q, k and v of R · G heads of queries, as views of [B, T, H, K]: what splitting a linear map's output gives."""
    generator = np.random.default_rng(seed)
    shapes = ((B, T, G * R, K), (B, S, G, K), (B, S, G, width))
    return [generator.standard_normal(shape).swapaxes(1, 2) for shape in shapes]


sizes = st.integers(1, 4)


@given(B=sizes, G=sizes, R=st.integers(1, 3), T=sizes, S=sizes, K=sizes, width=sizes, data=st.data())
@settings(deadline=None, max_examples=40, derandomize=True)
def test_output_and_gradients_are_those_of_torch(B, G, R, T, S, K, width, data):
    arrays = inputs(B, G, R, T, S, K, width)
    masks = [None, (T, S), (B, 1, T, S), (1, G * R, T, S), (B, 1, 1, S)]
    shape = data.draw(st.sampled_from(masks))
    mask = None if shape is None else np.random.default_rng(1).random(shape) < 0.6
    if mask is not None:
        mask[..., 0] = True  # torch says nothing of rows that may attend to nothing
    is_causal, scale = data.draw(st.booleans()), data.draw(st.sampled_from([None, 0.3]))
    y, rules = attention(*arrays, scale=scale, mask=mask, is_causal=is_causal)
    q, k, v = (torch.tensor(a, requires_grad=True) for a in arrays)
    allowed = torch.ones(T, S, dtype=torch.bool).tril() if is_causal else torch.ones(T, S, dtype=torch.bool)
    allowed = allowed if mask is None else allowed & torch.tensor(mask)
    expected = torch.nn.functional.scaled_dot_product_attention(q, k, v, allowed, scale=scale, enable_gqa=True)
    np.testing.assert_allclose(y, expected.detach(), atol=BOUND)
    dy = np.random.default_rng(2).standard_normal(y.shape)
    gradients = torch.autograd.grad(expected, (q, k, v), torch.tensor(dy))
    for rule, array, gradient in zip(rules, arrays, gradients, strict=True):
        assert rule(dy).shape == array.shape
        np.testing.assert_allclose(rule(dy), gradient, atol=BOUND)


@pytest.mark.parametrize("p", [0.0, 0.4])
@pytest.mark.parametrize("R", [1, 2])
def test_gradients_are_finite_differences(R, p):
    def function(q, k, v):  # the same weights are dropped each time
        generator = np.random.default_rng(3)
        return apply(attention, q, k, v, is_causal=True, dropout_p=p, generator=generator)

    assert gradcheck(function, [Tensor(a.copy(), requires_grad=True) for a in inputs(2, 2, R, 3, 3, 2, 2)])


def test_each_rule_alone_and_for_another_gradient():
    """The rules share what they compute for one dy; asked in another order, or for another dy, they answer the same."""
    arrays = inputs(2, 2, 1, 3, 3, 2, 2)
    y, rules = attention(*arrays)
    one, other = np.ones(y.shape), np.random.default_rng(0).standard_normal(y.shape)
    forth = [rule(dy) for dy in (one, other) for rule in rules]
    _, rules = attention(*arrays)
    back = [rule(dy) for dy in (other, one) for rule in reversed(rules)][::-1]
    assert all((a == b).all() for a, b in zip(forth, back, strict=True))


def test_a_query_that_may_attend_to_nothing_gathers_zeros_and_passes_no_gradient():
    arrays = inputs(1, 1, 1, 2, 3, 2, 2)
    mask = np.array([[False, False, False], [True, False, True]])
    y, (rule_q, rule_k, rule_v) = attention(*arrays, mask=mask)
    assert (y[0, 0, 0] == 0).all()
    dy = np.ones(y.shape)
    assert (rule_q(dy)[0, 0, 0] == 0).all()
    for gradient in (rule_k(dy), rule_v(dy)):
        assert (gradient[0, 0, 1] == 0).all()  # a key that nobody may see
        assert np.isfinite(gradient).all()


def test_large_scores_do_not_overflow():
    q = k = np.full((1, 1, 2, 1), 1e3, np.float32)
    y, rules = attention(q, k, np.array([[[[1.0], [3.0]]]], np.float32))
    assert y.ravel().tolist() == [2, 2]
    assert all(np.isfinite(rule(np.ones_like(y))).all() for rule in rules)


@pytest.mark.parametrize(
    "sizes", [(0, 1, 1, 2, 3, 2, 2), (1, 1, 1, 0, 3, 2, 2), (1, 1, 2, 2, 0, 2, 2), (1, 1, 1, 2, 3, 0, 2)]
)
def test_empty_sizes(sizes):
    arrays = inputs(*sizes)
    y, rules = attention(*arrays)
    assert y.shape == (*arrays[0].shape[:3], sizes[-1])
    assert [rule(np.ones(y.shape)).shape for rule in rules] == [a.shape for a in arrays]


def test_heads_side_by_side_are_no_copy():
    q, k, v = inputs(2, 3, 1, 4, 4, 5, 5)
    y, rules = attention(q, k, v)
    for array in (y, *(rule(y) for rule in rules)):
        assert np.shares_memory(array.swapaxes(1, 2).reshape(2, 4, 15), array)


def test_dropout_keeps_the_mean_and_drops_all_at_one():
    q = k = np.zeros((1, 1, 1, 1)), np.zeros((1, 1, 1000, 1))
    v = np.ones((1, 1, 1000, 1))
    y, _ = attention(q[0], k[1], v, dropout_p=0.5, generator=np.random.default_rng(0))
    assert y.item() == pytest.approx(1, abs=4 / np.sqrt(1000))  # four deviations of a mean of 1,000 of 0 or 2
    assert attention(q[0], k[1], v, dropout_p=1.0, generator=np.random.default_rng(0))[0].item() == 0


def test_bad_input():
    q, k, v = inputs(2, 2, 1, 3, 4, 5, 5)
    cases = [
        (lambda: attention(q, k[..., :4], v), ShapeError, r"k \[2, 2, 4, 4\], v .* do not fit"),
        (lambda: attention(q, k, v[:, :, :3]), ShapeError, "do not fit"),
        (lambda: attention(q[:, :1], k, v), ShapeError, "the heads of q must be a multiple of those of k and v"),
        (lambda: attention(q.astype(np.float32), k, v), DTypeError, "q, k and v are float32, float64, float64"),
        (lambda: attention(q, k, v, mask=np.ones((3, 4))), DTypeError, "the mask is float64; it must be bool"),
        (lambda: attention(q, k, v, mask=np.ones((4, 3), bool)), ShapeError, r"a mask \[4, 3\] does not broadcast to"),
    ]  # fmt: skip
    for make, kind, message in cases:
        with pytest.raises(kind, match=message):
            make()
