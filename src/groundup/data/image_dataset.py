"""Images as a dataset: samples by index, for torch's DataLoader and ours, the same with any number of workers."""

import ctypes
from collections.abc import Callable
from multiprocessing.context import get_spawning_popen
from multiprocessing.sharedctypes import RawValue
from typing import Any

import numpy as np
import numpy.typing as npt

from groundup.data.image_random import ImageNumbers
from groundup.data.image_transforms import Compose
from groundup.engine.loader.dataset import Dataset


class ImageDataset(Dataset[tuple[npt.NDArray[Any], int]]):
    """Images and their labels by index: sample i is (image, label), the image transformed.

    What a transform draws for image i is a pure function of (seed, epoch, i): the same with any number of workers, in
    any order of batches, in torch's DataLoader and in `groundup.engine.loader`. Call `set_epoch` before each epoch, so
    that images are varied another way; it reaches workers that are kept from epoch to epoch, too.

    Args:
        images: [N, H, W], in memory or memory-mapped.
        labels: [N].
        transform: one of ours, or any function of an image; see `Compose`.
        seed: decides what transforms draw.

    Raises:
        ValueError: other numbers of images than of labels.

    Example:
        >>> from groundup.data.image_transforms import ToTensor
        >>> images = np.array([[[0, 255]], [[255, 0]]], np.uint8)
        >>> pair = ImageDataset(images, np.array([4, 7]), transform=ToTensor())
        >>> image, label = pair[1]
        >>> image.tolist(), label, len(pair)
        ([[[1.0, 0.0]]], 7, 2)
    """

    def __init__(
        self,
        images: npt.NDArray[Any],
        labels: npt.NDArray[np.integer[Any]],
        transform: Callable[..., Any] | None = None,
        seed: int = 0,
    ) -> None:
        if len(images) != len(labels):
            raise ValueError(f"expected a label for each image, found {len(images)} images and {len(labels)} labels")
        self.images, self.labels, self.seed = images, labels, seed
        self._transform = None if transform is None else Compose((transform,))
        self._epoch: Any = RawValue(ctypes.c_int64, 0)  # in memory that worker processes share

    @property
    def epoch(self) -> int:
        """How often the images were dealt before."""
        return int(self._epoch.value)

    def set_epoch(self, epoch: int) -> None:
        """Let the samples from here on be those of `epoch`."""
        self._epoch.value = epoch

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[npt.NDArray[Any], int]:
        place = range(len(self))[index]  # one that is not there raises, -1 is the last
        images, labels = self.fetch_batch([place])
        return images[0], int(labels[0])

    def __getitems__(self, indices: list[int]) -> list[tuple[npt.NDArray[Any], int]]:
        """Return the samples of a batch, made at once: what torch's DataLoader asks for."""
        images, labels = self.fetch_batch(indices)
        return list(zip(images, labels.tolist(), strict=True))

    def fetch_batch(self, indices: list[int]) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
        """Return images [B, …] and labels [B] of a batch, made at once: what our DataLoader asks for."""
        where = np.asarray(indices, np.int64)
        images = np.asarray(self.images[where])  # a copy, of a memory-mapped file too
        if self._transform is not None:
            images = self._transform.batch(images, ImageNumbers(self.seed, self.epoch, where))
        return images, np.asarray(self.labels[where], np.int64)

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy is made of: a worker process shares the epoch, any other copy has its own."""
        shared = get_spawning_popen() is not None
        return self.__dict__ | {"_epoch": self._epoch if shared else self.epoch}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if isinstance(self._epoch, int):
            self._epoch = RawValue(ctypes.c_int64, self._epoch)
