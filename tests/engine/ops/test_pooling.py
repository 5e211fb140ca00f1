import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from groundup.engine.errors import DTypeError, ShapeError
from groundup.engine.ops import pooling


@pytest.mark.parametrize("settings", [{"kernel_size": 2}, {"kernel_size": 3, "stride": 1, "padding": 1}])
def test_of_equal_numbers_the_first_gets_the_gradient_as_in_torch(settings):
    x = np.random.default_rng(0).integers(0, 3, (2, 2, 6, 6)).astype(float)  # most windows have ties
    theirs = torch.from_numpy(x).requires_grad_()
    y, (rule,) = pooling.max_pool2d(x, **settings)
    F.max_pool2d(theirs, **settings).backward(torch.from_numpy(y))
    assert np.array_equal(rule(y), theirs.grad.numpy())


def test_nan_counts_as_larger_than_any_number_and_gets_the_gradient():
    x = np.array([[[[1.0, math.inf], [math.nan, 2.0]]]])
    theirs = torch.from_numpy(x).requires_grad_()
    y, (rule,) = pooling.max_pool2d(x, kernel_size=2)
    F.max_pool2d(theirs, 2).backward(torch.ones(1, 1, 1, 1, dtype=torch.float64))
    assert math.isnan(y.item())
    assert rule(np.ones_like(y)).tolist() == theirs.grad.tolist() == [[[[0.0, 0.0], [1.0, 0.0]]]]


def test_a_window_of_minus_infinity_still_has_a_first():
    x = np.full((1, 1, 2, 2), -math.inf)
    y, (rule,) = pooling.max_pool2d(x, kernel_size=2)
    assert y.item() == -math.inf
    assert rule(np.ones_like(y)).tolist() == [[[[1.0, 0.0], [0.0, 0.0]]]]


@pytest.mark.parametrize("op", [pooling.max_pool2d, pooling.avg_pool2d])
@pytest.mark.parametrize(
    ("x", "settings", "kind", "said"),
    [
        (np.ones((2, 4, 4)), {"kernel_size": 2}, ShapeError, r"pool2d: images are \[B, C, H, W\], not \[2, 4, 4\]"),
        (np.ones((1, 1, 4, 4), int), {"kernel_size": 2}, DTypeError, "pool2d: images are int64; convert them"),
        (np.ones((1, 1, 4, 4)), {"kernel_size": 5}, ShapeError, "a kernel that spans 5 × 5 does not fit .* 4 × 4"),
        (np.ones((1, 1, 4, 4)), {"kernel_size": 2, "padding": 2}, ShapeError, "at most half the kernel"),
        (np.ones((1, 1, 4, 4)), {"kernel_size": 0}, ShapeError, "the kernel's size is 0"),
    ],
)
def test_what_does_not_fit_is_refused(op, x, settings, kind, said):
    with pytest.raises(kind, match=said):
        op(x, **settings)
