"""Statistics of a set, held against NumPy's, and what is done for training and what for validation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as hnp

from groundup.configs.image_data import AugmentConfig
from groundup.data.image_augment import RandomAffine
from groundup.data.image_preprocessing import dataset_statistics, preprocessing
from groundup.data.image_random import GeneratorNumbers
from groundup.data.image_transforms import Normalize, ToTensor
from groundup.errors import InputError


@given(hnp.arrays(np.uint8, hnp.array_shapes(min_dims=3, max_dims=3)))
@settings(deadline=None, max_examples=25, derandomize=True)
def test_statistics_are_numpys(images):
    mean, std = dataset_statistics(images)
    # Sums in another order, in float64.
    assert mean == pytest.approx((images / 255).mean(), abs=1e-12)
    assert std == pytest.approx((images / 255).std(), abs=1e-12)


def test_statistics_of_more_than_are_read_at_once():
    images = np.random.default_rng(0).integers(0, 256, (9_000, 2, 2), dtype=np.uint8)
    assert dataset_statistics(images) == pytest.approx(((images / 255).mean(), (images / 255).std()), abs=1e-12)


def test_normalized_training_images_have_mean_0_and_deviation_1():
    images = np.random.default_rng(0).integers(0, 256, (30, 8, 8), dtype=np.uint8)
    found = preprocessing(*dataset_statistics(images)).batch(images, GeneratorNumbers(None))  # nothing is drawn
    # float32 inputs, rounded to 2^-24 each; the mean over 1,920 of them is better than one.
    assert found.mean() == pytest.approx(0, abs=1e-6)
    assert found.std() == pytest.approx(1, abs=1e-6)


def test_only_training_images_are_varied():
    plain = preprocessing(0.1, 0.3)
    assert plain.transforms == (ToTensor(), Normalize(0.1, 0.3))
    assert preprocessing(0.1, 0.3, AugmentConfig()) == plain
    varied = preprocessing(0.1, 0.3, AugmentConfig(degrees=5))
    assert varied.transforms == (ToTensor(), RandomAffine(5), Normalize(0.1, 0.3))


def test_what_has_no_statistics_is_refused():
    for images in (np.zeros((0, 2, 2), np.uint8), np.zeros((2, 2, 2), np.float32)):
        with pytest.raises(ValueError, match="expected images of uint8"):
            dataset_statistics(images)
    with pytest.raises(InputError, match="more than one shade"):
        preprocessing(*dataset_statistics(np.full((2, 3, 3), 7, np.uint8)))
