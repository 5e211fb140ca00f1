"""Layers beside torch's with the same weights: outputs, gradients, names, how they print; and initial weights."""

import math

import numpy as np
import pytest
import torch

from groundup import engine as eg
from groundup.engine import functional, nn

LAYERS = {
    "linear": (lambda nn: nn.Linear(5, 3), (2, 4, 5)),
    "linear without bias": (lambda nn: nn.Linear(5, 3, bias=False), (4, 5)),
    "layer norm": (lambda nn: nn.LayerNorm(5), (2, 4, 5)),
    "layer norm of two dimensions": (lambda nn: nn.LayerNorm([4, 5], eps=1e-3), (2, 4, 5)),
    "layer norm without bias": (lambda nn: nn.LayerNorm(5, bias=False), (4, 5)),
    "layer norm without parameters": (lambda nn: nn.LayerNorm(5, elementwise_affine=False), (4, 5)),
    "rms norm": (lambda nn: nn.RMSNorm(5), (2, 4, 5)),
    "rms norm without weight": (lambda nn: nn.RMSNorm((4, 5), eps=0.1, elementwise_affine=False), (2, 4, 5)),
    "convolution": (lambda nn: nn.Conv2d(2, 3, 3), (2, 2, 6, 5)),
    "strided convolution": (lambda nn: nn.Conv2d(2, 3, (3, 2), stride=2, padding=(1, 2), bias=False), (2, 2, 6, 5)),
    "dilated convolution": (lambda nn: nn.Conv2d(2, 3, 2, dilation=2, padding=1), (1, 2, 6, 5)),
    "max pool": (lambda nn: nn.MaxPool2d(2), (2, 3, 6, 5)),
    "overlapping max pool": (lambda nn: nn.MaxPool2d((3, 2), stride=1, padding=1), (2, 3, 6, 5)),
    "flatten": (lambda nn: nn.Flatten(), (2, 3, 4)),
    "flatten some": (lambda nn: nn.Flatten(0, 1), (2, 3, 4)),
    "relu": (lambda nn: nn.ReLU(), (3, 4)),
    "gelu": (lambda nn: nn.GELU(), (3, 4)),
    "gelu tanh": (lambda nn: nn.GELU(approximate="tanh"), (3, 4)),
    "silu": (lambda nn: nn.SiLU(), (3, 4)),
    "sigmoid": (lambda nn: nn.Sigmoid(), (3, 4)),
    "tanh": (lambda nn: nn.Tanh(), (3, 4)),
    "softmax": (lambda nn: nn.Softmax(dim=1), (3, 4)),
    "dropout, evaluated": (lambda nn: nn.Dropout(0.3).eval(), (3, 4)),
    "sequential": (lambda nn: nn.Sequential(nn.Linear(5, 7), nn.GELU(), nn.Linear(7, 2)), (4, 5)),
    "module dict": (lambda nn: nn.ModuleDict({"a": nn.Linear(2, 2), "b": nn.ReLU()}), None),
    "module list": (lambda nn: nn.ModuleList([nn.ReLU(), nn.Linear(2, 2), nn.Linear(2, 2), nn.ReLU()]), None),
    "embedding": (lambda nn: nn.Embedding(5, 3), None),
    "padded embedding": (lambda nn: nn.Embedding(5, 3, padding_idx=-1), None),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers_are_printed_and_their_weights_named_as_torchs(name):
    build, _ = LAYERS[name]
    ours, theirs = build(nn), build(torch.nn)
    printed = repr(theirs).replace(", ceil_mode=False", "").replace(", dilation=1", "").replace(", inplace=False", "")
    assert repr(ours) == printed
    shapes = {key: tuple(value.shape) for key, value in theirs.state_dict().items()}
    assert {key: value.shape for key, value in ours.state_dict().items()} == shapes
    assert list(ours.state_dict()) == list(shapes)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", [name for name, (_, shape) in LAYERS.items() if shape])
def test_outputs_and_gradients_equal_torchs(name, dtype):
    build, shape = LAYERS[name]
    ours, theirs = build(nn).to(dtype), build(torch.nn).to(torch.float64 if dtype == np.float64 else torch.float32)
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter)
    ours.load_state_dict(theirs.state_dict())
    random = np.random.default_rng(1)
    x = random.standard_normal(shape).astype(dtype)
    expected_x = torch.tensor(x, requires_grad=True)
    x = eg.Tensor(x, requires_grad=True)
    y, expected = ours(x), theirs(expected_x)
    probe = random.standard_normal(y.shape).astype(dtype)
    y.backward(eg.Tensor(probe))
    expected.backward(torch.tensor(probe))
    pairs = [(y.data, expected.detach()), (x.grad.data, expected_x.grad)]
    pairs += [(a.grad.data, b.grad) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True)]
    bound = 1e-12 if dtype == np.float64 else 1e-5  # rounding at 1e-16 or 6e-8, sums of tens of numbers of size 1
    for a, b in pairs:
        np.testing.assert_allclose(a, b.numpy(), rtol=bound, atol=bound)


@pytest.mark.parametrize("padding_idx", [None, 0, -1])
def test_an_embedding_equals_torchs_and_its_padding_row_is_zero_and_stays(padding_idx):
    ours, theirs = nn.Embedding(5, 3, padding_idx), torch.nn.Embedding(5, 3, padding_idx)
    if padding_idx is not None:
        assert not ours.weight.data[padding_idx].any()
    ours.load_state_dict(theirs.state_dict())
    ids = [[0, 4, 0], [2, 2, 1]]
    y, expected = ours(eg.tensor(ids)), theirs(torch.tensor(ids))
    y.square().sum().backward()
    expected.square().sum().backward()
    np.testing.assert_array_equal(y.data, expected.detach().numpy())
    np.testing.assert_allclose(ours.weight.grad.data, theirs.weight.grad.numpy(), rtol=1e-6)  # float32


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_layer_norm_gives_mean_zero_and_deviation_one(dtype):
    x = eg.Tensor((np.random.default_rng(0).standard_normal((4, 5, 64)) * 7 + 3).astype(dtype))
    y = nn.LayerNorm(64, dtype=dtype)(x).data
    # Rounding, 6e-8 in float32, of a mean over 64 numbers; epsilon = 1e-5 beside a variance of 49 makes the deviation
    # smaller by 1e-7.
    assert abs(y.mean(-1)).max() < (1e-6 if dtype == np.float32 else 1e-14)
    assert abs(y.std(-1) - 1).max() < 1e-6


@pytest.mark.parametrize("build", [lambda: nn.LayerNorm(8), lambda: nn.RMSNorm(8)])
def test_a_norm_ignores_the_scale_of_its_input_and_a_constant_stays_finite(build):
    norm, x = build().double(), eg.Tensor(np.random.default_rng(0).standard_normal((3, 8)) * 1e4)
    # epsilon, 1e-5 or less, beside a variance of 1e8: one part in 1e13
    np.testing.assert_allclose(norm(x * 5).data, norm(x).data, rtol=1e-11)
    x = eg.zeros(2, 8).requires_grad_()
    y = build()(x)
    y.sum().backward()
    assert not y.data.any()
    assert np.isfinite(x.grad.data).all()


@pytest.mark.parametrize(
    "build", [lambda nn: nn.Linear(50, 400), lambda nn: nn.Conv2d(2, 400, 5), lambda nn: nn.Embedding(400, 50)]
)
def test_weights_begin_with_torchs_distribution(build):
    eg.manual_seed(1)
    torch.manual_seed(1)
    ours, theirs = build(nn), build(torch.nn)
    for (name, mine), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        expected = other.detach().numpy()
        # n draws tell the deviation to one part in √(2n): 0.5 % for 20,000 weights, 3.5 % for 400 biases
        share = 1 / math.sqrt(2 * mine.numel())
        assert mine.data.std() == pytest.approx(expected.std(), rel=6 * share), name
        assert abs(mine.data.mean()) < 4 * expected.std() / math.sqrt(mine.numel())
        if not isinstance(ours, nn.Embedding):
            bound = 1 / math.sqrt(50)  # both have 50 inputs to each output
            assert 0.97 * bound < abs(mine.data).max() <= np.float32(bound)


def test_the_same_seed_gives_the_same_weights():
    eg.manual_seed(4)
    first = nn.Linear(3, 3).weight.tolist()
    eg.manual_seed(4)
    assert nn.Linear(3, 3).weight.tolist() == first
    assert nn.Linear(3, 3).weight.tolist() != first


def test_a_layer_can_be_made_in_float64():
    for layer in (
        nn.Linear(2, 2, dtype=eg.float64),
        nn.Conv2d(1, 1, 1, dtype=eg.float64),
        nn.RMSNorm(2, dtype=eg.float64),
    ):
        assert {p.dtype for p in layer.parameters()} == {np.dtype(np.float64)}


def test_dropout_draws_anew_at_each_call_and_only_while_training():
    layer, x = nn.Dropout(0.5, generator=eg.Generator(1)), eg.ones(100)
    first, second = layer(x).tolist(), layer(x).tolist()
    assert first != second
    assert set(first) == {0.0, 2.0}
    assert layer.eval()(x) is x
    twin = nn.Dropout(0.5, generator=eg.Generator(1))
    eg.manual_seed(99)  # its own generator does not hear of this
    assert [twin(x).tolist(), twin(x).tolist()] == [first, second]


def test_containers_hold_and_give():
    a, b, c = nn.ReLU(), nn.Tanh(), nn.Sigmoid()
    chain = nn.Sequential(a, b)
    assert (len(chain), list(chain), chain[-1]) == (2, [a, b], b)
    held = nn.ModuleList([a]).append(b).extend([c])
    assert (len(held), list(held), held[-1], list(held[1:])) == (3, [a, b, c], c, [b, c])
    held[-1] = a
    assert list(held) == [a, b, a]
    with pytest.raises(IndexError):
        held[3] = a
    named = nn.ModuleDict({"x": a})
    named["y"] = b
    assert (list(named), len(named), named["y"], "x" in named) == (["x", "y"], 2, b, True)
    assert list(named.items()) == [("x", a), ("y", b)]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nn.Dropout(-0.1), "Dropout: p is -0.1; it must be a probability"),
        (lambda: nn.Embedding(3, 2, padding_idx=3), "padding_idx 3 is not one of the 3 rows"),
        (lambda: nn.init.kaiming_uniform_(eg.zeros(3)), r"\[3\] has no inputs to count"),
        (lambda: nn.Conv2d(1, 1, 0), "Conv2d: kernel_size is 0; it must be one whole number of at least 1, or two"),
        (lambda: nn.Conv2d(1, 1, (3, 3, 3)), r"Conv2d: kernel_size is \(3, 3, 3\)"),
        (lambda: nn.Conv2d(1, 1, 3, stride=1.5), "Conv2d: stride is 1.5"),
        (lambda: nn.Conv2d(1, 1, 3, padding="same"), "Conv2d: padding is 'same'"),
        (lambda: nn.MaxPool2d("a")(eg.zeros(1, 1, 2, 2)), "max_pool2d: the kernel's size is 'a'"),
        (lambda: nn.LayerNorm(3)([1, 2, 3]), "layer_norm: expected a tensor, found list"),
        (lambda: functional.layer_norm(eg.ones(3), 3), "layer_norm: normalized_shape is 3; give the last sizes"),
        (lambda: nn.Linear(3, 2)([1, 2, 3]), "linear: expected a tensor, found list and Parameter and Parameter"),
        (lambda: nn.Linear(3, -1), r"zeros: sizes are whole numbers of 0 or more, found \[-1, 3\]"),
        (lambda: nn.Embedding(3, 2)([1]), "embedding: expected a tensor, found list"),
        (lambda: nn.Linear(3, 2)(eg.ones(2)), r"linear: x \[2\] and weight \[2, 3\] do not fit"),
        (lambda: nn.Embedding(3, 2)(eg.ones(2)), "embedding: indices are float32; they must be whole numbers"),
    ],
)
def test_what_does_not_fit_is_named(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call()
