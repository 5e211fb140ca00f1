"""What a token passes through beside matrices, compiled, against the layers it stands for, in float64."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from groundup.layers.positions import RotaryPositions
from groundup.quantization.kernels import has_kernels
from groundup.quantization.vectors import LOWEST, Bend, attend, bend, exponential, normalize, rotate

pytestmark = pytest.mark.skipif(not has_kernels(), reason="numba is not installed")

BENDS = {
    Bend.GELU: F.gelu,
    Bend.GELU_TANH: lambda x: F.gelu(x, approximate="tanh"),
    Bend.RELU: F.relu,
    Bend.RELU_SQUARED: lambda x: F.relu(x).square(),
}


def numbers(*shape: int, seed: int = 0, size: float = 1.0) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(shape) * size).astype(np.float32)


def wide(x: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(x).double()


@settings(max_examples=25, derandomize=True, deadline=None)
@given(st.floats(-87, 87, width=32))
def test_exponential(x: float):
    # Eight terms leave 5e-9; n ln 2 is rounded to 2^-24 of x, and so is the exponent; ten operations beside.
    bound = abs(x) * 2**-23 + 1e-6
    assert exponential(np.float32(x)) == pytest.approx(math.exp(x), rel=bound)


def test_exponential_beyond_its_ends_is_that_of_the_ends():
    low, high = (exponential(np.float32(x)) for x in (LOWEST, -LOWEST))
    assert [exponential(np.float32(x)) for x in (-88, -1e30, -np.inf)] == [low] * 3
    assert [exponential(np.float32(x)) for x in (88, 1e30, np.inf)] == [high] * 3
    assert 0 < low < high < np.inf
    assert exponential(np.float32(0)) == 1


@settings(max_examples=25, derandomize=True, deadline=None)
@given(
    width=st.integers(1, 200), size=st.sampled_from([1e-3, 1.0, 1e3]), centred=st.booleans(), seed=st.integers(0, 99)
)
def test_normalize(width: int, size: float, centred: bool, seed: int):
    x, scale, shift = (numbers(width, seed=seed + i, size=size if i == 0 else 1.0) for i in range(3))
    out = np.full(width, np.nan, np.float32)
    normalize(x, scale, shift, out, int(centred), np.float32(1e-5))
    if centred:
        expected = F.layer_norm(wide(x), (width,), wide(scale), wide(shift), eps=1e-5)
    else:
        expected = F.rms_norm(wide(x), (width,), wide(scale), eps=1e-5) + wide(shift)
    # float32: what is left of a few large numbers after the mean was taken away
    assert (wide(out) - expected).abs().max() <= 1e-5 * max(1.0, expected.abs().max().item())


@pytest.mark.parametrize("width", [2, 8, 64])
def test_rotate(width: int):
    layer = RotaryPositions(d_head=width, context_length=50)
    for position in (0, 1, 49):
        x = numbers(width, seed=position)
        expected = layer(1, position)(torch.from_numpy(x).view(1, 1, 1, -1)).flatten()
        turned = x.copy()
        rotate(turned, layer.cos[position].numpy(), layer.sin[position].numpy())
        assert np.allclose(turned, expected.numpy(), atol=1e-6)  # two products, maybe rounded once
        if position == 0:
            assert np.array_equal(turned, x)


@settings(max_examples=25, derandomize=True, deadline=None)
@given(held=st.integers(0, 40), width=st.integers(1, 40), size=st.sampled_from([0.0, 1.0, 30.0]))
def test_attend(held: int, width: int, size: float):
    q, k, v = numbers(width, size=size), numbers(width, seed=1), numbers(width, seed=2)
    keys, values = numbers(held, width, seed=3), numbers(held, width, seed=4)
    out, scores = np.full(width, np.nan, np.float32), np.full(50, np.nan, np.float32)
    attend(q, k, v, keys, values, out, scores)
    all_keys, all_values = (np.concatenate(both) for both in ((keys, k[None]), (values, v[None])))
    scale = 1 / math.sqrt(width)  # the query comes scaled, and sdpa scales it
    expected = F.scaled_dot_product_attention(
        wide(q)[None] / scale, wide(all_keys), wide(all_values)
    )[0]  # fmt: skip
    # Scores of up to size · width in float32, whose rounding is a factor of the weights; values of size 1.
    bound = 1e-5 + 4 * 2**-23 * size * width
    assert (wide(out) - expected).abs().max() <= bound


@pytest.mark.parametrize("kind", BENDS)
def test_bend(kind: Bend):
    x = np.concatenate([numbers(500, size=3.0), np.float32([0, -0.0, 20, -20, 1e-8, -100])])
    bent, gate = x.copy(), np.full_like(x, np.nan)
    bend(bent, gate, int(kind))
    expected = BENDS[kind](wide(x))
    assert ((wide(bent) - expected).abs() <= 2e-6 * (1 + expected.abs())).all()  # of exp, erf and a few products


def test_silu_gates():
    up, gate = numbers(300), np.concatenate([numbers(297, seed=1, size=5.0), np.float32([0, 95, -95])])
    bent = up.copy()
    bend(bent, gate, int(Bend.SILU))
    expected = wide(up) * F.silu(wide(gate))
    assert ((wide(bent) - expected).abs() <= 2e-6 * (1 + expected.abs())).all()
