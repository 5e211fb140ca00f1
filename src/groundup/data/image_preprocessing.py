"""What is done to images before a network reads them: the statistics of a set, and transforms for training or not."""

import numpy as np
import numpy.typing as npt

from groundup.configs.image_data import AugmentConfig
from groundup.data.image_augment import augmentation
from groundup.data.image_transforms import Compose, Normalize, ToTensor
from groundup.errors import InputError


def dataset_statistics(images: npt.NDArray[np.uint8]) -> tuple[float, float]:
    """Return mean and standard deviation of all pixels of images [N, H, W], as numbers from 0 … 1.

    Exact: there are 256 values of a pixel, so how often each comes says all. A memory-mapped array is read in pieces.

    Raises:
        ValueError: no pixel, or images that are not of uint8.

    Example:
        >>> dataset_statistics(np.array([[[0, 255], [0, 255]]], np.uint8))
        (0.5, 0.5)
    """
    if images.dtype != np.uint8 or not images.size:
        raise ValueError(f"expected images of uint8, found {images.dtype} {images.shape}")
    counts = sum(np.bincount(images[i : i + 4_096].ravel(), minlength=256) for i in range(0, len(images), 4_096))
    values = np.arange(256) / 255
    mean = float(counts @ values) / images.size
    return mean, float(np.sqrt(counts @ (values - mean) ** 2 / images.size))


def preprocessing(mean: float, std: float, augment: AugmentConfig | None = None) -> Compose:
    """Return what is done to images before a network reads them; with `augment`, what is done to training images.

    Images for validation and test are never augmented, and get the mean and deviation of the training images.

    Raises:
        InputError: a deviation of 0: all pixels of all images are alike.

    Example:
        >>> preprocessing(0.13, 0.31)
        Compose(transforms=(ToTensor(), Normalize(mean=0.13, std=0.31)))
    """
    if not std > 0:
        raise InputError("expected training images with more than one shade, found all pixels alike: look at them")
    return Compose((ToTensor(), *augmentation(augment or AugmentConfig()), Normalize(mean, std)))
