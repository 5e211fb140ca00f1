"""Functions against torch's of the same name, forward and every gradient, and the laws that define them."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as theirs

from groundup import engine as eg
from groundup.engine import functional as ours

# float64 rounds at 1e-16; sums of up to a few hundred numbers of size 1 to 10. float32 rounds at 6e-8, and its gelu is
# an approximation good to 1.5e-7.
BOUND = {np.float64: 1e-12, np.float32: 1e-5}
MADE_UP = settings(deadline=None, max_examples=25, derandomize=True)

ACTIVATIONS = {
    "relu": (ours.relu, theirs.relu),
    "sigmoid": (ours.sigmoid, torch.sigmoid),
    "tanh": (ours.tanh, torch.tanh),
    "silu": (ours.silu, theirs.silu),
    "gelu": (ours.gelu, theirs.gelu),
    "gelu_tanh": (lambda x: ours.gelu(x, approximate="tanh"), lambda x: theirs.gelu(x, approximate="tanh")),
}
DTYPES = pytest.mark.parametrize("dtype", [np.float64, np.float32])


def same(our_function, their_function, *arrays, dtype=np.float64):
    """Assert that outputs and gradients agree, for a random gradient of the output."""
    arrays = [np.asarray(a, dtype) for a in arrays]
    mine = [eg.Tensor(a.copy(), requires_grad=True) for a in arrays]
    other = [torch.tensor(a, requires_grad=True) for a in arrays]
    y, expected = our_function(*mine), their_function(*other)
    assert y.dtype == dtype
    assert y.shape == tuple(expected.shape)
    probe = np.random.default_rng(0).standard_normal(y.shape).astype(dtype)
    y.backward(eg.Tensor(np.asarray(probe)))
    expected.backward(torch.tensor(probe))
    pairs = [(y.data, expected.detach()), *((a.grad.data, b.grad) for a, b in zip(mine, other, strict=True))]
    for a, b in pairs:
        assert a.dtype == dtype
        np.testing.assert_allclose(a, b.numpy(), rtol=BOUND[dtype], atol=BOUND[dtype])


def randn(*shape, seed=1, scale=2.0):
    return np.random.default_rng(seed).standard_normal(shape) * scale


shapes = st.lists(st.integers(0, 5), min_size=0, max_size=4).map(tuple)
matrices = st.tuples(st.integers(1, 6), st.integers(1, 9))


@DTYPES
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_equal_torch(name, dtype):
    same(*ACTIVATIONS[name], randn(7, 11, scale=4), dtype=dtype)


@pytest.mark.parametrize("name", ACTIVATIONS)
@given(shape=shapes)
@MADE_UP
def test_activations_take_any_shape(name, shape):
    same(*ACTIVATIONS[name], randn(*shape))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_take_arrays_in_any_order_of_memory(name):
    our_function, their_function = ACTIVATIONS[name]
    same(lambda x: our_function(x.transpose(0, 2)), lambda x: their_function(x.transpose(0, 2)), randn(3, 4, 5))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_of_more_numbers_than_are_taken_at_once(name):
    same(*ACTIVATIONS[name], randn(3, 30_011), dtype=np.float32)


@DTYPES
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_of_huge_numbers_stay_finite(name, dtype):
    x = eg.Tensor(np.array([-1e4, -80.0, 0.0, 80.0, 1e4], dtype), requires_grad=True)
    y = ACTIVATIONS[name][0](x)
    y.sum().backward()
    assert np.isfinite(y.data).all()
    assert np.isfinite(x.grad.data).all()


@DTYPES
@pytest.mark.parametrize("dim", [0, 1, -1])
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax_equals_torch(name, dim, dtype):
    same(lambda x: getattr(ours, name)(x, dim), lambda x: getattr(theirs, name)(x, dim), randn(4, 5, 6), dtype=dtype)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@given(shape=shapes.filter(len), data=st.data())
@MADE_UP
def test_softmax_takes_any_shape(name, shape, data):
    dim = data.draw(st.integers(-len(shape), len(shape) - 1))
    same(lambda x: getattr(ours, name)(x, dim), lambda x: getattr(theirs, name)(x, dim), randn(*shape))


@DTYPES
def test_softmax_is_unchanged_by_a_shift_and_sums_to_one(dtype):
    x = randn(6, 9).astype(dtype)
    p = ours.softmax(eg.Tensor(x), -1).data
    assert abs(p.sum(-1) - 1).max() < BOUND[dtype]
    assert abs(ours.softmax(eg.Tensor(x + dtype(1000)), -1).data - p).max() < (1e-4 if dtype == np.float32 else 1e-12)


@DTYPES
def test_huge_logits_give_no_nan(dtype):
    logits = eg.Tensor(np.array([[1e30, 0.0, -1e30], [-1e30, -1e30, -1e30]], dtype), requires_grad=True)
    for y in (
        ours.softmax(logits, -1).sum(),
        ours.log_softmax(logits, -1).mean(),
        ours.cross_entropy(logits, eg.Tensor([0, 2])),
    ):
        logits.grad = None
        y.backward()
        assert np.isfinite(y.item())
        assert np.isfinite(logits.grad.data).all()


@DTYPES
@pytest.mark.parametrize("affine", ["nothing", "weight", "both"])
@pytest.mark.parametrize("shape", [(5,), (3, 5), (2, 3, 5)])
def test_layer_norm_equals_torch(shape, affine, dtype):
    given_ = [randn(5, seed=2), randn(5, seed=3)][: ["nothing", "weight", "both"].index(affine)]
    x = randn(*shape) + 3
    same(
        lambda x, *p: ours.layer_norm(x, [5], *p), lambda x, *p: theirs.layer_norm(x, [5], *p), x, *given_, dtype=dtype
    )


def test_layer_norm_over_two_dimensions_and_with_a_bias_alone():
    p = randn(3, 5, seed=2), randn(3, 5, seed=3)
    same(
        lambda *a: ours.layer_norm(a[0], (3, 5), *a[1:]),
        lambda *a: theirs.layer_norm(a[0], (3, 5), *a[1:]),
        randn(2, 3, 5),
        *p,
    )
    same(
        lambda x, b: ours.layer_norm(x, [5], None, b),
        lambda x, b: theirs.layer_norm(x, [5], None, b),
        randn(2, 5),
        p[0][0],
    )


@DTYPES
@pytest.mark.parametrize("eps", [None, 1e-3])
@pytest.mark.parametrize("with_weight", [False, True])
def test_rms_norm_equals_torch(with_weight, eps, dtype):
    given_ = [randn(5, seed=2)][:with_weight]
    same(
        lambda x, w=None: ours.rms_norm(x, [5], w, eps),
        lambda x, w=None: theirs.rms_norm(x, [5], w, eps),
        randn(2, 3, 5) + 1,
        *given_,
        dtype=dtype,
    )


@given(shape=st.tuples(st.integers(0, 4), st.integers(1, 4), st.integers(1, 7)))
@MADE_UP
def test_norms_take_any_shape(shape):
    D, eps = shape[-1:], 1e-2  # with one number in a row its variance is 0, and 1/√ε must not magnify rounding
    p = randn(*D, seed=2), randn(*D, seed=3)
    same(
        lambda *a: ours.layer_norm(a[0], D, *a[1:], eps),
        lambda *a: theirs.layer_norm(a[0], D, *a[1:], eps),
        randn(*shape),
        *p,
    )
    same(lambda x, w: ours.rms_norm(x, D, w, eps), lambda x, w: theirs.rms_norm(x, D, w, eps), randn(*shape), p[0])


def test_layer_norm_of_large_numbers_that_differ_little_keeps_its_accuracy():
    x = np.float32(1e4) + np.random.default_rng(0).standard_normal((4, 64)).astype(np.float32)
    expected = theirs.layer_norm(torch.tensor(x).double(), [64]).numpy()
    # float32 steps at 1e4 are 1e-3, a mean of 64 such numbers is off by a step; E[x²] - E[x]² would be off by 10
    assert abs(ours.layer_norm(eg.Tensor(x), [64]).data - expected).max() < 2e-3


@DTYPES
@pytest.mark.parametrize("with_bias", [False, True])
@pytest.mark.parametrize("leading", [(), (4,), (2, 3), (0,)])
def test_linear_equals_torch(leading, with_bias, dtype):
    given_ = [randn(6, 5, seed=2), randn(6, seed=3)][: 1 + with_bias]
    same(ours.linear, theirs.linear, randn(*leading, 5), *given_, dtype=dtype)


@pytest.mark.parametrize("padding_idx", [None, 2])
def test_embedding_equals_torch(padding_idx):
    ids = np.array([[1, 2, 1], [0, 2, 4]])
    same(
        lambda w: ours.embedding(eg.Tensor(ids), w, padding_idx),
        lambda w: theirs.embedding(torch.tensor(ids), w, padding_idx),
        randn(5, 3),
    )


@DTYPES
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("ignored", [None, 0, 3])
def test_cross_entropy_equals_torch(reduction, ignored, dtype):
    target = np.array([3, 1, 0, 0, 4])
    ignore = {} if ignored is None else {"ignore_index": ignored}
    same(
        lambda x: ours.cross_entropy(x, eg.Tensor(target), reduction=reduction, **ignore),
        lambda x: theirs.cross_entropy(x, torch.tensor(target), reduction=reduction, **ignore),
        randn(5, 6),
        dtype=dtype,
    )


@pytest.mark.parametrize("name", ["cross_entropy", "nll_loss"])
@given(shape=matrices, data=st.data())
@MADE_UP
def test_class_losses_take_any_shape(name, shape, data):
    N, C = shape
    target = np.array(data.draw(st.lists(st.integers(-1, C - 1), min_size=N, max_size=N)))
    target[0] = 0  # one at least that counts
    same(
        lambda x: getattr(ours, name)(x, eg.Tensor(target), ignore_index=-1),
        lambda x: getattr(theirs, name)(x, torch.tensor(target), ignore_index=-1),
        randn(N, C),
    )


def test_cross_entropy_of_more_rows_than_are_taken_at_once():
    target = np.arange(300) % 700
    same(
        lambda x: ours.cross_entropy(x, eg.Tensor(target)),
        lambda x: theirs.cross_entropy(x, torch.tensor(target)),
        randn(300, 700),
        dtype=np.float32,
    )


def test_cross_entropy_is_nll_of_log_softmax_and_counts_no_ignored_row():
    x, target = eg.Tensor(randn(4, 5)), eg.Tensor([1, -100, 3, 3])
    whole = ours.cross_entropy(x, target).item()
    assert whole == pytest.approx(ours.nll_loss(ours.log_softmax(x, -1), target).item(), abs=1e-14)
    assert whole == pytest.approx(ours.cross_entropy(x[[0, 2, 3]], target[[0, 2, 3]]).item(), abs=1e-14)


def test_cross_entropy_of_nothing_but_ignored_rows_is_nan_as_torchs():
    assert np.isnan(ours.cross_entropy(eg.Tensor(randn(2, 3)), eg.Tensor([-100, -100])).item())


def test_a_run_that_has_diverged_gives_nan_or_infinity_and_no_warning():
    x = eg.Tensor([[np.inf, 1.0, np.nan], [3e38, -3e38, 3e38]])
    assert np.isnan(ours.layer_norm(x, [3]).data[0]).all()
    assert np.isnan(ours.rms_norm(x, [3]).data[0, 2])
    assert np.isinf(ours.mse_loss(x[1], eg.zeros(3)).item())
    assert np.isnan(ours.softmax(x, -1).data[0]).all()
    assert np.isnan(ours.cross_entropy(x, eg.Tensor([1, 0])).item())
    assert all(np.isnan(f(x).data[0, 2]) for f, _ in ACTIVATIONS.values())


@DTYPES
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", ["mse_loss", "binary_cross_entropy_with_logits"])
def test_pairwise_losses_equal_torch(name, reduction, dtype):
    x, target = randn(3, 4, scale=5), np.random.default_rng(5).random((3, 4))
    same(
        lambda x, t: getattr(ours, name)(x, t, reduction=reduction),
        lambda x, t: getattr(theirs, name)(x, t, reduction=reduction),
        x,
        target,
        dtype=dtype,
    )


def test_a_certain_and_wrong_answer_costs_its_logit():
    x = eg.Tensor([1e4, -1e4], requires_grad=True)
    loss = ours.binary_cross_entropy_with_logits(x, eg.Tensor([0.0, 1.0]), reduction="sum")
    loss.backward()
    assert loss.item() == 2e4
    assert x.grad.tolist() == [1.0, -1.0]


def test_dropout_keeps_the_mean_and_is_the_identity_when_not_training():
    x = eg.ones(200, 200)
    y = ours.dropout(x, 0.3, generator=eg.Generator(1))
    assert set(np.unique(y.data).round(5)) == {0.0, np.float32(1 / 0.7).round(5)}
    # the share of zeros among 40,000 has deviation √(0.3 · 0.7 / 40000) = 0.0023
    assert abs((y.data == 0).mean() - 0.3) < 5 * 0.0023
    assert ours.dropout(x, 0.3, training=False) is x
    assert ours.dropout(x, 0.0) is x
    assert not ours.dropout(x, 1.0).data.any()


def test_dropout_draws_from_the_engines_generator_unless_given_one():
    x = eg.ones(50)
    eg.manual_seed(3)
    first = ours.dropout(x).tolist()
    eg.manual_seed(3)
    assert ours.dropout(x).tolist() == first
    own = [ours.dropout(x, generator=eg.Generator(8)).tolist() for _ in range(2)]
    assert own[0] == own[1]


def attend(**more):
    return (
        lambda q, k, v: ours.scaled_dot_product_attention(q, k, v, **more),
        lambda q, k, v: theirs.scaled_dot_product_attention(
            q, k, v, **{key: torch.tensor(m) if key == "attn_mask" else m for key, m in more.items()}
        ),
    )


@DTYPES
@pytest.mark.parametrize("more", [{}, {"is_causal": True}, {"scale": 0.3}], ids=str)
def test_attention_equals_torch(more, dtype):
    q, k, v = randn(2, 3, 6, 4), randn(2, 3, 6, 4, seed=2), randn(2, 3, 6, 4, seed=3)
    same(*attend(**more), q, k, v, dtype=dtype)


@pytest.mark.parametrize("shape", [(2, 3, 5, 7), (5, 7), (2, 1, 5, 7), (1, 7)])
def test_attention_with_a_mask_equals_torch(shape):
    mask = np.random.default_rng(4).random(shape) < 0.5
    mask[..., 0] = True  # every query may attend to something
    same(*attend(attn_mask=mask), randn(2, 3, 5, 4), randn(2, 3, 7, 4, seed=2), randn(2, 3, 7, 4, seed=3))


def test_a_query_that_may_attend_to_nothing_gives_zeros_and_gets_no_gradient():
    mask = np.array([[True, False], [False, False]])
    q, k, v = (eg.Tensor(randn(1, 1, 2, 3, seed=s), requires_grad=True) for s in range(3))
    y = ours.scaled_dot_product_attention(q, k, v, mask)
    y.sum().backward()
    assert not y.data[0, 0, 1].any()
    assert not q.grad.data[0, 0, 1].any()
    assert all(np.isfinite(x.grad.data).all() for x in (q, k, v))
    assert not k.grad.data[0, 0, 1].any()


def test_attention_drops_weights_while_keeping_their_mean():
    q = k = eg.zeros(1, 1, 4, 2)
    v = eg.ones(1, 1, 4, 2)
    y = [ours.scaled_dot_product_attention(q, k, v, None, 0.5, generator=eg.Generator(s)).data for s in range(400)]
    # a sum of four weights that are 0 or 1/2 has deviation 0.5; over 400 · 4 independent sums, 0.0125
    assert abs(np.mean(y) - 1) < 5 * 0.0125
    assert set(np.unique(y)) <= {0.0, 0.5, 1.0, 1.5, 2.0}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ours.gelu(eg.Tensor([1])), "gelu: a tensor of int64; it must hold floats"),
        (lambda: ours.gelu(eg.Tensor([1.0]), approximate="erf"), "'none' or 'tanh'"),
        (lambda: ours.softmax(eg.Tensor([1]), 0), "softmax: a tensor of int64"),
        (lambda: ours.softmax(eg.Tensor([1.0]), 1), "softmax: there is no dimension 1"),
        (lambda: ours.layer_norm(eg.ones(2, 3), [4]), r"x \[2, 3\] must end in normalized_shape \[4\]"),
        (lambda: ours.layer_norm(eg.ones(2, 3), [3], eg.ones(2)), r"layer_norm: weight \[2\] for x \[2, 3\]"),
        (lambda: ours.linear(eg.ones(2, 3), eg.ones(4, 5)), r"linear: x \[2, 3\] and weight \[4, 5\] do not fit"),
        (lambda: ours.linear(eg.ones(2, 3), eg.ones(4, 3), eg.ones(3)), r"bias \[3\] for weight \[4, 3\]"),
        (lambda: ours.linear(eg.ones(2, 3), eg.ones(4, 3).double()), "float32, float64; they must be of one type"),
        (lambda: ours.linear(eg.Tensor([[1]]), eg.ones(4, 1)), "int64, float32"),
        (lambda: ours.cross_entropy(eg.ones(2, 3, 4), eg.Tensor([[1, 2]])), r"use logits.reshape\(-1, V\)"),
        (lambda: ours.cross_entropy(eg.ones(1, 3), eg.Tensor([3])), "target 3 is out of range for 3 classes: 0 to 2"),
        (lambda: ours.cross_entropy(eg.ones(1, 3), eg.Tensor([-1])), "target -1 is out of range"),
        (lambda: ours.cross_entropy(eg.ones(1, 3), eg.Tensor([1.0])), "float32; they must be floats and whole numbers"),
        (lambda: ours.cross_entropy(eg.ones(1, 3), eg.Tensor([1]), reduction="max"), "'none', 'mean' or 'sum'"),
        (lambda: ours.mse_loss(eg.ones(3, 1), eg.ones(3)), r"mse_loss: input \[3, 1\] and target \[3\] differ"),
        (lambda: ours.mse_loss(eg.ones(3), eg.Tensor([1, 2, 3])), "float32 and target int64; both must be floats"),
        (lambda: ours.dropout(eg.ones(3), 1.5), "p is 1.5; it must be a probability"),
        (lambda: ours.scaled_dot_product_attention(*[eg.ones(1, 1, 2, 3)] * 3, None, -0.1), "dropout_p is -0.1"),
        (lambda: ours.embedding(eg.Tensor([5]), eg.ones(5, 2)), "5 is out of range"),
    ],
)
def test_what_does_not_fit_is_named_in_one_line(call, message):
    with pytest.raises((ValueError, TypeError, IndexError), match=message) as raised:
        call()
    assert "\n" not in str(raised.value)
