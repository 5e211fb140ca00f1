"""Batches of images: a pure function of the step, every image once an epoch, as the dataset gives them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.configs.image_data import AugmentConfig
from groundup.data.image_batches import ImageBatches
from groundup.data.image_dataset import ImageDataset
from groundup.data.image_preprocessing import preprocessing
from groundup.data.image_sets import ImageSet
from groundup.data.image_transforms import Compose, ToTensor

LAW = settings(deadline=None, max_examples=25, derandomize=True)


def numbered(n):
    return ImageSet(np.random.default_rng(0).integers(0, 256, (n, 5, 4), dtype=np.uint8), np.arange(n), ("a",) * n)


@LAW
@given(st.integers(1, 30), st.integers(1, 40), st.integers(0, 2**40), st.integers(1, 4))
def test_every_image_comes_once_an_epoch(n, batch_size, seed, n_epochs):
    batches = ImageBatches(numbered(n), ToTensor(), batch_size, seed)
    steps = -(-n * n_epochs // batch_size)
    dealt = np.concatenate([batches.at(step)[1] for step in range(steps)])[: n * n_epochs].reshape(n_epochs, n)
    for epoch in dealt:
        assert sorted(epoch.tolist()) == list(range(n))
    assert all(batches.at(step)[1].shape == (batch_size,) for step in range(2))
    assert batches.steps_per_epoch == -(-n // batch_size)


def test_another_order_each_epoch_and_for_each_seed():
    orders = [
        ImageBatches(numbered(50), ToTensor(), 50, seed).at(epoch)[1].tolist() for seed in (0, 1) for epoch in (0, 1)
    ]
    assert len(set(map(tuple, orders))) == 4


def custom(image, random):
    return image * np.float32(random.uniform(0.5, 1))


@pytest.mark.parametrize(
    "transform",
    [
        preprocessing(0.1, 0.3),
        preprocessing(0.1, 0.3, AugmentConfig(degrees=10, translate=0.1, scale=0.1, erase=0.5)),
        Compose([np.flipud, ToTensor(), custom]),
    ],
)
def test_an_image_is_that_of_the_dataset(transform):
    images = numbered(10)
    batches = ImageBatches(images, transform, batch_size=4, seed=9)
    single = ImageDataset(images.images, images.labels, transform, seed=9)
    for step in (0, 2, 4, 7):  # step 2 ends epoch 0 and begins epoch 1, step 7 the next
        found, labels = batches.at(step)
        assert (found.shape, found.dtype, labels.dtype) == ((4, 1, 5, 4), np.float32, np.int64)
        place = 0
        for epoch, indices in batches.indices(step):
            single.set_epoch(epoch)
            for index in indices.tolist():
                image, label = single[index]
                np.testing.assert_array_equal(found[place], image)
                assert labels[place] == label == index
                place += 1
        assert place == 4


@LAW
@given(st.integers(0, 10**9))
def test_a_step_asked_again_is_the_same(step):
    transform = preprocessing(0.1, 0.3, AugmentConfig(degrees=10))
    first, second = (ImageBatches(numbered(7), transform, 3, seed=1) for _ in range(2))
    second.at(5)  # what was asked before leaves nothing behind
    for one, other in zip(first.at(step), second.at(step), strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_cannot_be_dealt_is_refused():
    with pytest.raises(ValueError, match="found 0 images and 4"):
        ImageBatches(numbered(0), ToTensor(), 4, 0)
    with pytest.raises(ValueError, match="found 3 images and 0"):
        ImageBatches(numbered(3), ToTensor(), 0, 0)
    with pytest.raises(ValueError, match="step >= 0, found -1"):
        ImageBatches(numbered(3), ToTensor(), 2, 0).at(-1)
