"""The error function against the C library's, and the normal distribution against that."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.engine.ops.error_function import erf, normal_distribution

SPREAD = np.concatenate([np.linspace(-7, 7, 20_001), np.geomspace(1e-300, 1, 500), [0.46875, 4.0, 6.0, 30.0]])


def exact(function, x):
    return np.array([function(float(value)) for value in x])


def test_erf_is_within_four_steps_of_the_c_librarys():
    expected = exact(math.erf, SPREAD)
    off = np.abs(erf(SPREAD) - expected)
    # Four only just above 0.47, where erf is 1 minus a number that is rounded in steps twice as large.
    assert (off / np.spacing(np.abs(expected))).max() <= 4
    assert off.max() <= 2.3e-16  # one step at 1


def test_erf_in_float32_is_within_four_steps():
    x = np.linspace(-5, 5, 10_001, dtype=np.float32)
    expected = exact(math.erf, x)
    y = erf(x)
    assert y.dtype == np.float32
    # polynomials of eight degrees are evaluated in float32 here
    assert (np.abs(y - expected) / np.spacing(np.abs(expected).astype(np.float32) + np.float32(1e-38))).max() <= 4


@given(st.floats(-50, 50))
@settings(deadline=None, max_examples=50, derandomize=True)
def test_erf_is_odd_and_bounded(x):
    [y, negated] = erf(np.array([x, -x]))
    assert negated == -y
    assert abs(y) <= 1


def test_erf_of_zero_infinity_and_nan():
    np.testing.assert_array_equal(erf(np.array([0.0, np.inf, -np.inf, np.nan])), [0, 1, -1, np.nan])
    assert math.copysign(1, erf(np.array([-0.0]))[0]) == -1


@pytest.mark.parametrize(("dtype", "bound"), [(np.float64, 5e-16), (np.float32, 3e-7)])
def test_the_normal_distribution_and_its_density(dtype, bound):
    # two steps; half of the published 1.5e-7, and five terms of size 1 rounded at 6e-8 each
    x = np.linspace(-9, 9, 5_001).astype(dtype)
    below, density = normal_distribution(x)
    assert below.dtype == density.dtype == dtype
    assert abs(below - exact(lambda v: 0.5 * math.erfc(-v / math.sqrt(2)), x)).max() <= bound
    assert abs(density - exact(lambda v: math.exp(-v * v / 2) / math.sqrt(2 * math.pi), x)).max() <= bound
    assert (np.diff(below) >= -bound).all()  # never falls by more than its error
