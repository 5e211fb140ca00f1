"""Augmentation: within what was asked for, another way each epoch, and images stay themselves in any company."""

import numpy as np
import pytest

from groundup.configs.image_data import AugmentConfig
from groundup.data.image_augment import RandomAffine, RandomErasing, RandomRotation, augmentation
from groundup.data.image_random import ImageNumbers
from groundup.data.image_warp import affine_matrices, warp

N = 200
FLAT = np.ones((N, 20, 30), np.float32)


def numbers(epoch=0, indices=range(N)):
    return ImageNumbers(0, epoch, np.array(indices))


def spot(n=N):
    """Return images [n, 41, 41] with one bright pixel, 10 to the right of the centre."""
    images = np.zeros((n, 41, 41), np.float32)
    images[:, 20, 30] = 1
    return images


def centres(images):
    """Return where the light of each image is, from its centre: x and y [n, 2]."""
    half = (images.shape[-1] - 1) / 2
    places = np.arange(images.shape[-1]) - half
    total = images.sum((1, 2))
    return np.stack([(images.sum(1) * places).sum(1), (images.sum(2) * places).sum(1)], 1) / total[:, None]


@pytest.mark.parametrize("turn", [RandomRotation(30), RandomAffine(degrees=30)])
def test_angles_are_spread_over_what_was_asked_for(turn):
    found = centres(turn.batch(spot(), numbers()))
    angles = np.rad2deg(np.arctan2(-found[:, 1], found[:, 0]))  # y points down
    # A bright pixel that falls between four is placed to a tenth of a pixel, 0.6 degrees at a distance of 10.
    assert np.abs(angles).max() < 31
    assert angles.min() < -27
    assert angles.max() > 27
    assert abs(angles.mean()) < 4  # 30 / sqrt(3) / sqrt(200) = 1.2 by chance


def test_moves_and_scales_are_spread_over_what_was_asked_for():
    at_centre = np.roll(spot(), -10, axis=2)
    moved = centres(RandomAffine(translate=0.2).batch(at_centre, numbers()))
    assert np.abs(moved).max() < 0.2 * 41 + 0.1
    assert (moved.min(0) < -7).all()
    assert (moved.max(0) > 7).all()
    scaled = centres(RandomAffine(scale=0.5).batch(spot(), numbers()))[:, 0] / 10
    assert (scaled.min() > 0.48, scaled.max() < 1.52, scaled.min() < 0.55, scaled.max() > 1.45) == (True,) * 4


def test_nothing_asked_for_changes_nothing():
    images = np.random.default_rng(0).integers(0, 256, (5, 1, 8, 8), dtype=np.uint8)
    np.testing.assert_array_equal(RandomAffine().batch(images, numbers(indices=range(5))), images)
    np.testing.assert_array_equal(RandomErasing(0.0).batch(images, numbers(indices=range(5))), images)
    assert augmentation(AugmentConfig()) == ()


def test_all_of_an_affine_is_one_warp():
    images = np.random.default_rng(0).random((3, 8, 10), dtype=np.float32)
    drawn = 2 * numbers(indices=range(3)).uniforms(4) - 1
    matrices = affine_matrices(np.deg2rad(20 * drawn[:, 0]), 1 + 0.1 * drawn[:, 1], drawn[:, 2:] * [0.3 * 10, 0.3 * 8])
    # The same float64 arithmetic up to the order of products; then float32.
    np.testing.assert_allclose(
        RandomAffine(20, 0.3, 0.1).batch(images, numbers(indices=range(3))), warp(images, matrices), atol=1e-5
    )


def test_what_is_erased_is_one_rectangle_of_the_size_asked_for():
    found = RandomErasing(0.5, area=(0.1, 0.2), ratio=(0.5, 2.0)).batch(FLAT, numbers()) == 0
    hit = found.any((1, 2))
    assert 70 < hit.sum() < 130  # 100 expected, with a deviation of 7
    for mask in found[hit]:
        tall, wide = mask.any(1).sum(), mask.any(0).sum()
        assert mask.sum() == tall * wide
        # Sides are rounded to whole pixels: of 5 … 15 pixels, half of one changes the area by up to 10 % each.
        assert 0.8 * 60 < mask.sum() < 1.2 * 120
        assert 0.4 < tall / wide < 2.5
    assert found.any(0)[2:-2, 2:-2].all()  # rectangles come everywhere; into the very corners few of them


def test_a_rectangle_that_does_not_fit_is_cut():
    found = RandomErasing(1.0, area=(0.9, 1.0), ratio=(9.0, 10.0)).batch(FLAT, numbers())
    assert (found == 0).any((1, 2)).all()
    assert (found == 0).all(1).any()  # from top to bottom


def test_erased_is_filled_with_what_was_asked_for():
    whole = RandomErasing(1.0, area=(1.0, 1.0), ratio=(1.5, 1.5), value=7)
    assert whole.batch(np.ones((1, 4, 6), np.uint8), numbers(indices=[0])).dtype == np.uint8
    assert 7 in whole.batch(np.ones((1, 4, 6), np.uint8), numbers(indices=[0]))


@pytest.mark.parametrize("transform", [RandomRotation(30), RandomAffine(10, 0.1, 0.1), RandomErasing(1.0)])
def test_an_image_comes_out_the_same_in_any_company_and_another_way_each_epoch(transform):
    images = np.random.default_rng(0).random((40, 1, 12, 12), dtype=np.float32)
    before = images.copy()
    together = transform.batch(images, numbers(indices=range(40)))
    np.testing.assert_array_equal(images, before)
    np.testing.assert_array_equal(transform.batch(images[[31, 7]], numbers(indices=[31, 7])), together[[31, 7]])
    assert not np.array_equal(transform.batch(images, numbers(1, range(40))), together)
    np.testing.assert_array_equal(
        transform.batch(images[:, 0], numbers(indices=range(40))), together[:, 0]
    )  # [B, H, W]
    with pytest.raises(TypeError, match="random"):
        transform(images[0])


def test_a_config_asks_for_transforms():
    assert augmentation(AugmentConfig(degrees=10, translate=0.1, erase=0.5)) == (
        RandomAffine(10, 0.1, 0.0), RandomErasing(0.5),
    )  # fmt: skip
