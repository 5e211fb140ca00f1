"""Batches of images: batch k is a pure function of (seed, k), each image comes once an epoch.

Shapes: N images, B images of a batch, H x W pixels.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from groundup.data.image_random import ImageNumbers
from groundup.data.image_sets import ImageSet
from groundup.data.image_transforms import Compose
from groundup.data.permutation import derive_key, permute

_ORDER_KEY = 2


class ImageBatches:
    """Deals out transformed images in another order each epoch.

    Epochs follow each other without a gap: a batch may begin in one and end in the next, and may be larger than an
    epoch. Nothing is stored about what was dealt: a resumed run asks for batch k and gets it. An image comes out as
    from `ImageDataset` with the same transform and seed in the same epoch; a whole batch is made at once, and faster.

    Args:
        images: N of them.
        transform: one of ours, or any function of an image; see `Compose`. It makes float32 [1, H, W] of bytes [H, W].
        batch_size: B.
        seed: decides the order of each epoch, and what the transform draws.

    Raises:
        ValueError: no images, or a batch size below 1.

    Example:
        >>> from groundup.data.image_transforms import ToTensor
        >>> three = ImageSet(np.zeros((3, 8, 8), np.uint8), np.arange(3), ("a", "b", "c"))
        >>> batches = ImageBatches(three, ToTensor(), batch_size=2, seed=0)
        >>> images, labels = batches.at(0)
        >>> images.shape, [batches.at(step)[1].tolist() for step in range(3)]
        ((2, 1, 8, 8), [[2, 0], [1, 1], [0, 2]])
        >>> batches.steps_per_epoch
        2
    """

    def __init__(self, images: ImageSet, transform: Callable[..., Any], batch_size: int, seed: int) -> None:
        if not len(images) or batch_size < 1:
            raise ValueError(f"expected images and batch_size >= 1, found {len(images)} images and {batch_size}")
        self.image_set, self.batch_size, self.seed = images, batch_size, seed
        self._transform = Compose((transform,))

    @property
    def steps_per_epoch(self) -> int:
        """How many batches it takes until every image was dealt (the last one may begin the next epoch)."""
        return -(-len(self.image_set) // self.batch_size)

    def at(self, step: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        """Return images [B, 1, H, W] and labels [B] of batch `step` (0, 1, 2, …).

        Raises:
            ValueError: a negative step.
        """
        parts = []
        labels = []
        for epoch, indices in self.indices(step):
            numbers = ImageNumbers(self.seed, epoch, indices)
            parts.append(self._transform.batch(np.asarray(self.image_set.images[indices]), numbers))
            labels.append(self.image_set.labels[indices])
        return (parts[0], labels[0]) if len(parts) == 1 else (np.concatenate(parts), np.concatenate(labels))

    def indices(self, step: int) -> list[tuple[int, npt.NDArray[np.int64]]]:
        """Return which images make up batch `step`: for each epoch that it has a part in, that and indices [≤ B].

        Raises:
            ValueError: a negative step.
        """
        if step < 0:
            raise ValueError(f"expected step >= 0, found {step}")
        n, first, count, found = len(self.image_set), step * self.batch_size, self.batch_size, []
        while count > 0:
            epoch, position = divmod(first, n)
            here = min(count, n - position)
            key = derive_key(self.seed, epoch, _ORDER_KEY)
            found.append((epoch, permute(np.arange(position, position + here), n, key)))
            first, count = first + here, count - here
        return found
