"""Transforms of images: small classes that say what is done to one image, and do it to a whole batch at once.

Shapes: B images of a batch, C channels, H x W pixels. An image is [H, W] or [C, H, W], of uint8 (0 … 255) or float32.
"""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from groundup.data.image_random import GeneratorNumbers, ImageNumbers

Images = npt.NDArray[Any]
"""[B, H, W] or [B, C, H, W]."""
Numbers = ImageNumbers | GeneratorNumbers
"""Where a transform gets its random numbers from."""


class ImageTransform(ABC):
    """Something done to images, each with random numbers of its own; called with one image, or with a batch.

    What a subclass does to an image must not depend on the others of its batch: then an image comes out the same alone.
    """

    def __call__(self, image: Any, random: np.random.Generator | None = None) -> npt.NDArray[Any]:  # noqa: ANN401
        """Return one image, an array or whatever NumPy makes one of (PIL's images), transformed.

        Raises:
            TypeError: a transform that draws numbers, without `random`.
        """
        found: npt.NDArray[Any] = self.batch(np.asarray(image)[None], GeneratorNumbers(random))[0]
        return found

    @abstractmethod
    def batch(self, images: Images, numbers: Numbers) -> Images:
        """Return images transformed; `images` stays as it is."""


@dataclass(frozen=True)
class Compose(ImageTransform):
    """One transform after the other.

    A step is one of ours, or any function of an image. One that has a parameter `random` is given the image's generator
    there: custom transforms draw from it, and are then the same for (seed, epoch, index). Others, such as
    torchvision's, are called with the image alone, and what they draw from generators of their own is not repeatable
    that way. A function sees what the step before it made: an array [H, W] at first.

    Example:
        >>> def invert(image):
        ...     return 255 - image
        >>> Compose([invert, ToTensor()])(np.array([[0, 255]], np.uint8)).tolist()
        [[[1.0, 0.0]]]
    """

    transforms: Sequence[Callable[..., Any]]
    """The steps, in order."""

    def batch(self, images: Images, numbers: Numbers) -> Images:
        """Return images [B, …] with all steps done; those that are not ours are done to one image after the other."""
        found: Any = images
        for step in self.transforms:
            if isinstance(step, ImageTransform):
                found = step.batch(_stacked(found), numbers)
            elif takes_random(step):
                found = [step(image, random=random) for image, random in zip(found, numbers.generators(), strict=True)]
            else:
                found = [step(image) for image in found]
        return _stacked(found)


@dataclass(frozen=True)
class ToTensor(ImageTransform):
    """Bytes [H, W] to float32 [1, H, W] from 0 … 1: what a network reads. An array for NumPy, torch and the engine.

    Example:
        >>> ToTensor()(np.array([[0, 51]], np.uint8)).round(3).tolist()
        [[[0.0, 0.20000000298023224]]]
    """

    def batch(self, images: Images, numbers: Numbers) -> Images:
        """Return bytes [B, H, W] as float32 [B, 1, H, W], and [B, C, H, W] with their channels."""
        if images.dtype != np.uint8:
            raise TypeError(f"expected images of uint8, found {images.dtype}")
        scaled = images * np.float32(1 / 255)
        return scaled[:, None] if scaled.ndim == 3 else scaled


@dataclass(frozen=True)
class Normalize(ImageTransform):
    """Subtract the mean and divide by the standard deviation, so that inputs are about 0 and of size 1.

    Args of the statistics: one number, or one for each channel; of the training images (`dataset_statistics`), and the
    same ones for validation and test.

    Example:
        >>> Normalize(0.5, 0.25)(np.array([[[0.5, 1.0]]], np.float32)).tolist()
        [[[0.0, 2.0]]]
    """

    mean: float | tuple[float, ...]
    """In the units of the images: 0 … 1 behind ToTensor."""
    std: float | tuple[float, ...]
    """Above 0."""

    def __post_init__(self) -> None:
        """Refuse a standard deviation of 0, as of images that are all alike."""
        if not np.all(np.asarray(self.std) > 0):
            raise ValueError(f"expected std above 0, found {self.std}: are all images alike?")

    def batch(self, images: Images, numbers: Numbers) -> Images:
        """Return float images [B, C, H, W] of about mean 0 and standard deviation 1."""
        mean, std = (np.asarray(value, np.float32).reshape(-1, 1, 1) for value in (self.mean, self.std))
        found: Images = (images - mean) * (1 / std)
        return found


def takes_random(step: Callable[..., Any]) -> bool:
    """Return whether a function has a parameter `random`.

    Example:
        >>> takes_random(lambda image, random: image), takes_random(abs)
        (True, False)
    """
    try:
        return "random" in inspect.signature(step).parameters
    except (TypeError, ValueError):  # some built-in functions have no signature
        return False


def _stacked(images: Any) -> Images:  # noqa: ANN401 - an array, or a list of whatever a function gave
    return images if isinstance(images, np.ndarray) else np.stack([np.asarray(image) for image in images])
