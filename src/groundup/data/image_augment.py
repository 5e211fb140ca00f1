"""Augmentation: training images turned, moved, enlarged and partly blanked, another way each epoch.

Shapes: B images of a batch, C channels, H x W pixels.
"""

from dataclasses import dataclass

import numpy as np

from groundup.configs.image_data import AugmentConfig
from groundup.data.image_transforms import Images, ImageTransform, Numbers
from groundup.data.image_warp import affine_matrices, warp


@dataclass(frozen=True)
class RandomRotation(ImageTransform):
    """Turn each image about its centre, by an angle drawn from -degrees … degrees; what comes in at the edge is 0.

    Example:
        >>> turn = RandomRotation(90)
        >>> turn(np.eye(3, dtype=np.float32), np.random.default_rng(0)).shape
        (3, 3)
    """

    degrees: float
    """Largest angle, 0 … 180."""

    def batch(self, images: Images, numbers: Numbers) -> Images:
        """Return images turned; uses as many numbers as RandomAffine."""
        return RandomAffine(self.degrees).batch(images, numbers)


@dataclass(frozen=True)
class RandomAffine(ImageTransform):
    """Turn, enlarge and move each image at once, so that its pixels are interpolated once; edges come in as 0.

    Example:
        >>> stroke = np.array([[0, 9, 0]], np.float32)
        >>> [RandomAffine(translate=0.3)(stroke, np.random.default_rng(seed)).round().tolist() for seed in (1, 2)]
        [[[4.0, 2.0, 0.0]], [[0.0, 3.0, 4.0]]]
    """

    degrees: float = 0.0
    """Turned by an angle from -degrees … degrees."""
    translate: float = 0.0
    """Moved across by up to this share of the width, and down by up to this share of the height."""
    scale: float = 0.0
    """Enlarged by a factor from 1 - scale … 1 + scale."""

    def batch(self, images: Images, numbers: Numbers) -> Images:
        """Return images turned, enlarged and moved; uses four numbers for each."""
        height, width = images.shape[-2:]
        centred = 2 * numbers.uniforms(4) - 1  # [B, 4]
        angles, scales = np.deg2rad(self.degrees * centred[:, 0]), 1 + self.scale * centred[:, 1]
        return warp(images, affine_matrices(angles, scales, self.translate * centred[:, 2:] * (width, height)))


@dataclass(frozen=True)
class RandomErasing(ImageTransform):
    """Blank a rectangle of some images, so that a network does not rest on one spot (Zhong et al. 2017, algorithm 1).

    Its area is drawn from `area`, its height over its width from `ratio` on a logarithmic scale, its place from all
    where it fits. Where the paper draws again when it does not fit, here its longer side is cut to the image's.

    Example:
        >>> erase = RandomErasing(1.0, area=(0.25, 0.25), ratio=(1.0, 1.0))
        >>> erase(np.ones((4, 4), np.float32), np.random.default_rng(0)).sum()
        np.float32(12.0)
    """

    probability: float = 0.5
    """How likely it is that an image is changed."""
    area: tuple[float, float] = (0.02, 0.33)
    """The rectangle's share of the image, from … to."""
    ratio: tuple[float, float] = (0.3, 1 / 0.3)
    """Its height over its width, from … to."""
    value: float = 0.0
    """What it is filled with: before Normalize, 0 is paper."""

    def batch(self, images: Images, numbers: Numbers) -> Images:
        """Return images of which some have a rectangle blanked; uses five numbers for each."""
        chance, size, shape, down, right = numbers.uniforms(5).T  # [B] each
        height, width = images.shape[-2:]
        area = (self.area[0] + (self.area[1] - self.area[0]) * size) * height * width
        low, high = np.log(self.ratio)
        ratio = np.exp(low + (high - low) * shape)
        tall = np.clip(np.round(np.sqrt(area * ratio)), 1, height)
        wide = np.clip(np.round(np.sqrt(area / ratio)), 1, width)
        top, left = np.floor(down * (height - tall + 1)), np.floor(right * (width - wide + 1))
        rows, columns = np.arange(height), np.arange(width)
        in_rows = (rows >= top[:, None]) & (rows < (top + tall)[:, None])  # [B, H]
        in_columns = (columns >= left[:, None]) & (columns < (left + wide)[:, None])  # [B, W]
        hit = (chance < self.probability)[:, None, None] & in_rows[:, :, None] & in_columns[:, None, :]
        mask = hit if images.ndim == 3 else hit[:, None]
        found: Images = np.where(mask, images.dtype.type(self.value), images)
        return found


def augmentation(config: AugmentConfig) -> tuple[ImageTransform, ...]:
    """Return the transforms that a config asks for; none where all its fields are 0.

    Example:
        >>> augmentation(AugmentConfig(degrees=10, erase=0.25))[0]
        RandomAffine(degrees=10, translate=0.0, scale=0.0)
    """
    found: list[ImageTransform] = []
    if config.degrees or config.translate or config.scale:
        found.append(RandomAffine(config.degrees, config.translate, config.scale))
    if config.erase:
        found.append(RandomErasing(config.erase))
    return tuple(found)
