import numpy as np
import pytest
import torch
from torch.nn import functional as F

from groundup.engine.errors import DTypeError, ShapeError
from groundup.engine.ops import convolution, windows

GENERATOR = np.random.default_rng(0)
X, WEIGHT, BIAS = (GENERATOR.standard_normal(shape) for shape in ((5, 3, 6, 7), (4, 3, 3, 2), (4,)))


def test_images_taken_in_several_blocks_are_those_taken_at_once(monkeypatch):
    """Two at a time, and the last alone; where one image alone is too large, one at a time."""
    y, rules = convolution.conv2d(X, WEIGHT, BIAS, padding=1)
    whole = [y, *(rule(y) for rule in rules)]
    columns = 3 * 3 * 2 * 6 * 8 * X.itemsize
    for limit in (2 * columns, 1):
        monkeypatch.setattr(convolution, "BYTES_AT_ONCE", limit)
        y, rules = convolution.conv2d(X, WEIGHT, BIAS, padding=1)
        for ours, expected in zip([y, *(rule(y) for rule in rules)], whole, strict=True):
            np.testing.assert_allclose(ours, expected, rtol=1e-12, atol=1e-12)  # rounding of sums in another order


def test_a_network_of_mnists_size_has_torchs_values_and_gradients_in_float32():
    x, weight, bias = (GENERATOR.standard_normal(n).astype("f4") for n in ((16, 8, 28, 28), (16, 8, 3, 3), (16,)))
    tensors = [torch.from_numpy(a).requires_grad_() for a in (x, weight, bias)]
    y, rules = convolution.conv2d(x, weight, bias, padding=1)
    expected = F.conv2d(*tensors, padding=1)
    # Sums of 72 products near 1 in float32, of which each rounding is 6e-8 of a partial sum near 8.
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=0, atol=5e-5)
    dy = GENERATOR.standard_normal(y.shape).astype("f4")
    expected.backward(torch.from_numpy(dy))
    for rule, tensor in zip(rules, tensors, strict=True):
        theirs = tensor.grad.numpy()  # of weight and bias sums of 12,544, near 100
        np.testing.assert_allclose(rule(dy), theirs, rtol=0, atol=1e-5 * max(1, np.abs(theirs).max()))


def test_windows_is_a_view_and_taps_are_its_slices():
    how = windows.sliding("conv2d", (6, 7), kernel=(3, 2), stride=(1, 2), padding=0, dilation=(2, 1))
    view = windows.windows(X, how)
    assert view.shape == (5, 3, 3, 2, *how.out)
    assert np.shares_memory(view, X)
    for n, tap in enumerate(windows.taps(X, how)):
        assert np.array_equal(tap, view[:, :, n // 2, n % 2])


@pytest.mark.parametrize(
    ("arrays", "settings", "kind", "said"),
    [
        ((X[0], WEIGHT), {}, ShapeError, r"conv2d: images \[3, 6, 7\] and kernels \[4, 3, 3, 2\] do not fit"),
        ((X, WEIGHT[:, :2]), {}, ShapeError, "same number of channels C"),
        ((X, WEIGHT, BIAS[:3]), {}, ShapeError, r"conv2d: a bias of \[3\] for 4 channels; it must be \[4\]"),
        ((X, WEIGHT), {"dilation": 4}, ShapeError, "conv2d: a kernel that spans 9 × 5 does not fit an image of 6 × 7"),
        ((X, WEIGHT), {"stride": 0}, ShapeError, "conv2d: stride is 0; it must be one whole number of at least 1"),
        ((X, WEIGHT), {"padding": (1, -1)}, ShapeError, r"conv2d: padding is \(1, -1\)"),
        ((X, WEIGHT), {"stride": (1, 1, 1)}, ShapeError, "or two"),
        ((X, WEIGHT.astype("f4")), {}, DTypeError, "conv2d: images of float64, kernels of float32; all must"),
        ((X, WEIGHT, BIAS.astype("f4")), {}, DTypeError, "a bias of float32"),
    ],
)
def test_what_does_not_fit_is_refused(arrays, settings, kind, said):
    with pytest.raises(kind, match=said):
        convolution.conv2d(*arrays, **settings)
