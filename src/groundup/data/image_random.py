"""The random numbers of images: a pure function of (seed, epoch, index of the image), whoever asks and when.

Shapes: B images.
"""

import numpy as np
import numpy.typing as npt

from groundup.data.permutation import derive_key, permute

MOST_NUMBERS = 64
"""How many uniform numbers an image can be given in one epoch."""
_RANGE = 1 << 53  # as many numbers as a float64 in 0 … 1 can tell apart at equal distances
_GENERATOR_KEY = 1


class ImageNumbers:
    """Random numbers for some images, each image having a stream of its own.

    Number k of an image is element 64·index + k of a pseudo-random order of 0 … 2^53 - 1 that seed and epoch name. So
    they are made for a whole batch at once, and for one image alone come out the same.

    Args:
        seed: of the run.
        epoch: how often the images were dealt before.
        indices: which images of their set [B].

    Example:
        >>> both = ImageNumbers(0, 0, np.array([7, 3])).uniforms(2)  # [B, 2]
        >>> np.array_equal(both[1:], ImageNumbers(0, 0, np.array([3])).uniforms(2))
        True
    """

    def __init__(self, seed: int, epoch: int, indices: npt.NDArray[np.int64]) -> None:
        self._seed, self._epoch, self._indices = seed, epoch, indices
        self._used = 0
        self._generators: list[np.random.Generator] | None = None

    def __len__(self) -> int:
        return len(self._indices)

    def uniforms(self, count: int) -> npt.NDArray[np.float64]:
        """Return the next `count` numbers of each image, in 0 … 1 and never 1: [B, count].

        Raises:
            ValueError: more than MOST_NUMBERS in all.
        """
        if self._used + count > MOST_NUMBERS:
            raise ValueError(f"expected at most {MOST_NUMBERS} numbers for an image, found {self._used + count}")
        places = self._indices[:, None] * MOST_NUMBERS + np.arange(self._used, self._used + count)
        self._used += count
        found = permute(places.ravel(), _RANGE, derive_key(self._seed, self._epoch))
        return found.reshape(places.shape) / _RANGE

    def generators(self) -> list[np.random.Generator]:
        """Return a generator for each image, for transforms that draw what they like: the same ones at each call."""
        if self._generators is None:
            key = derive_key(self._seed, self._epoch, _GENERATOR_KEY)
            self._generators = [np.random.default_rng((key, index)) for index in self._indices.tolist()]
        return self._generators


class GeneratorNumbers:
    """The same for one image, drawn from a generator that the caller has.

    Example:
        >>> GeneratorNumbers(np.random.default_rng(0)).uniforms(2).round(3).tolist()
        [[0.637, 0.27]]
    """

    def __init__(self, generator: np.random.Generator | None) -> None:
        self._generator = generator

    def __len__(self) -> int:
        return 1

    def uniforms(self, count: int) -> npt.NDArray[np.float64]:
        """Return the next `count` numbers: [1, count].

        Raises:
            TypeError: there is no generator.
        """
        return self.generators()[0].random((1, count))

    def generators(self) -> list[np.random.Generator]:
        """Return the generator.

        Raises:
            TypeError: there is none.
        """
        if self._generator is None:
            raise TypeError("expected a transform that draws numbers to be called as transform(image, random)")
        return [self._generator]
