"""Transforms: what they do by hand, one image as in a batch, and functions of others as steps."""

from functools import partial

import numpy as np
import pytest
import torch

from groundup.data.image_random import ImageNumbers
from groundup.data.image_transforms import Compose, Normalize, ToTensor, takes_random

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 4, 6), dtype=np.uint8)


def numbers(indices=range(5)):
    return ImageNumbers(0, 0, np.array(indices))


def test_to_tensor_scales_exactly_and_keeps_what_it_is_given():
    before = IMAGES.copy()
    found = ToTensor().batch(IMAGES, numbers())
    assert (found.shape, found.dtype) == ((5, 1, 4, 6), np.float32)
    # torch's own division, which torchvision's ToTensor does; times 1/255 differs in the last bit of float32.
    np.testing.assert_allclose(found, torch.from_numpy(IMAGES).div(255)[:, None], rtol=2**-23)
    np.testing.assert_array_equal(IMAGES, before)
    assert ToTensor()(np.zeros((3, 4, 6), np.uint8)).shape == (3, 4, 6)  # channels that are there stay
    with pytest.raises(TypeError, match="expected images of uint8, found float32"):
        ToTensor()(np.zeros((4, 6), np.float32))


def test_normalize_with_a_number_and_with_one_for_each_channel():
    image = np.random.default_rng(0).random((2, 3, 4)).astype(np.float32)
    for mean, std in ((0.3, 0.2), ((0.3, 0.4), (0.2, 0.1))):
        expected = (image - np.reshape(mean, (-1, 1, 1))) / np.reshape(std, (-1, 1, 1))
        # Two roundings of float32 of values up to 6.
        np.testing.assert_allclose(Normalize(mean, std)(image), expected, atol=2e-6)
        assert Normalize(mean, std)(image).dtype == np.float32
    with pytest.raises(ValueError, match="std above 0, found 0"):
        Normalize(0.5, 0.0)


def test_one_image_comes_out_as_in_its_batch():
    both = Compose([ToTensor(), Normalize(0.1, 0.3)])
    together = both.batch(IMAGES, numbers())
    for image, expected in zip(IMAGES, together, strict=True):
        np.testing.assert_array_equal(both(image), expected)


def add(image, amount):
    return image + amount


def noise(image, random):
    return image + random.normal(0, 0.1, image.shape).astype(np.float32)


class Speckle:
    """A custom transform, as a reader would write it."""

    def __init__(self, share):
        self.share = share

    def __call__(self, image, random):
        return np.where(random.random(image.shape) < self.share, 1, image).astype(np.float32)


def test_which_functions_are_given_random_numbers():
    assert [takes_random(step) for step in (noise, Speckle(0.1), ToTensor())] == [True, True, True]
    assert [takes_random(step) for step in (np.flipud, partial(add, amount=1), min, torch.nn.Identity())] == [False] * 4


def test_functions_are_steps():
    steps = Compose([np.flipud, ToTensor(), partial(add, amount=np.float32(1))])
    np.testing.assert_array_equal(steps.batch(IMAGES, numbers()), ToTensor().batch(IMAGES[:, ::-1], numbers()) + 1)
    np.testing.assert_array_equal(steps(IMAGES[2]), steps.batch(IMAGES, numbers())[2])


@pytest.mark.parametrize("custom", [noise, Speckle(0.5)])
def test_a_custom_transform_is_the_same_for_seed_epoch_and_index(custom):
    steps = Compose([ToTensor(), custom])
    together = steps.batch(IMAGES, numbers())
    np.testing.assert_array_equal(together[[3, 1]], steps.batch(IMAGES[[3, 1]], numbers([3, 1])))
    other_epoch = steps.batch(IMAGES, ImageNumbers(0, 1, np.arange(5)))
    assert not any(np.array_equal(one, other) for one, other in zip(together, other_epoch, strict=True))
    assert not np.array_equal(steps(IMAGES[0], np.random.default_rng(0)), steps(IMAGES[0], np.random.default_rng(1)))
    with pytest.raises(TypeError, match=r"called as transform\(image, random\)"):
        steps(IMAGES[0])


def test_what_others_make_may_be_a_torch_tensor_until_the_end():
    steps = Compose([ToTensor(), torch.from_numpy, partial(torch.flip, dims=(2,)), torch.nn.Identity()])
    found = steps.batch(IMAGES, numbers())
    assert isinstance(found, np.ndarray)
    np.testing.assert_array_equal(found, ToTensor().batch(IMAGES, numbers())[..., ::-1])


def test_an_image_of_pil_is_read():
    image = pytest.importorskip("PIL.Image", reason="Pillow comes with matplotlib").fromarray(IMAGES[0])
    np.testing.assert_array_equal(ToTensor()(image), ToTensor()(IMAGES[0]))


def test_steps_may_be_empty_and_nested():
    np.testing.assert_array_equal(Compose([])(IMAGES[0]), IMAGES[0])
    nested = Compose([Compose([ToTensor()]), Normalize(0.0, 2.0)])
    np.testing.assert_array_equal(nested(IMAGES[0]), ToTensor()(IMAGES[0]) / 2)
