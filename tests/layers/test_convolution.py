"""A convolution is a product with every patch; it commutes with a shift; its norm knows one image alone."""

import pytest
import torch
from torch.nn import functional as F

from groundup.layers.convolution import convolution, n_groups

# float32 sums of at most 3 · 3 · 4 products of size 1, in another order
CLOSE = {"rtol": 1e-5, "atol": 1e-5}


@pytest.mark.parametrize(("kernel_size", "stride"), [(1, 1), (3, 1), (3, 2), (5, 1), (1, 2)])
def test_it_is_a_product_with_every_patch(kernel_size: int, stride: int):
    torch.manual_seed(0)
    layer = convolution(4, 6, kernel_size=kernel_size, stride=stride, groups=0)
    images = torch.randn(2, 4, 9, 7)
    patches = F.unfold(images, kernel_size, padding=kernel_size // 2, stride=stride)  # [B, 4 · k · k, places]
    expected = layer.conv.weight.flatten(1) @ patches + layer.conv.bias[:, None]
    found = layer(images)
    assert found.shape == (2, 6, -(-9 // stride), -(-7 // stride))
    torch.testing.assert_close(found.flatten(2), expected, **CLOSE)


def test_a_shifted_image_gives_a_shifted_map():
    torch.manual_seed(0)
    layer = convolution(1, 3, groups=0)
    image = torch.zeros(1, 1, 12, 12)
    image[..., 4:7, 3:6] = torch.randn(3, 3)
    shifted = image.roll((2, 1), (2, 3))
    torch.testing.assert_close(layer(shifted), layer(image).roll((2, 1), (2, 3)), **CLOSE)


def test_the_norm_is_of_each_image_and_group_alone():
    torch.manual_seed(0)
    layer = convolution(2, 8, groups=2)
    images = torch.randn(3, 2, 5, 5)
    raw = layer.conv(images).view(3, 2, -1)  # a group of four channels and all places
    expected = (raw - raw.mean(-1, keepdim=True)) / (raw.var(-1, unbiased=False, keepdim=True) + 1e-5).sqrt()
    torch.testing.assert_close(layer(images), expected.view(3, 8, 5, 5), **CLOSE)
    torch.testing.assert_close(layer(images[1:2]), layer(images)[1:2], **CLOSE)


def test_weights_begin_with_the_deviation_that_keeps_gradients():
    torch.manual_seed(0)
    weight = convolution(64, 32).conv.weight
    # 18,432 numbers: their deviation is off by 1 / √(2 · 18,432) = 0.5 % on average
    assert weight.std().item() == pytest.approx((2 / (9 * 32)) ** 0.5, rel=0.03)


@pytest.mark.parametrize("n_channels", range(1, 40))
def test_groups_are_equal_and_have_two_channels(n_channels: int):
    for most in (1, 3, 8):
        found = n_groups(n_channels, most)
        assert n_channels % found == 0
        assert found <= most
        assert found == 1 or n_channels // found >= 2
