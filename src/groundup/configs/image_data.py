"""Which images a run learns from, how they are split, and how training images are varied."""

from dataclasses import dataclass

from groundup.configs.checks import at_least, between, positive
from groundup.errors import InputError


@dataclass(frozen=True, kw_only=True)
class ImageDataConfig:
    """Which labelled images are learned, and which of them are only measured.

    Example:
        >>> ImageDataConfig(validation_fraction=0.0)
        Traceback (most recent call last):
        groundup.errors.InputError: ImageDataConfig.validation_fraction must be above 0, found 0.0
    """

    source: str = "digits"
    """digits (scikit-learn's 1,797 of 8 x 8, no file needed), mnist, or a folder of yours with IDX files of MNIST's
    names: train-images-idx3-ubyte, train-labels-idx1-ubyte, and t10k-… for a test part; .gz behind them or not. A file
    classes.txt beside them may name the classes, one in a line."""
    full_mnist: bool | None = None
    """MNIST's 60,000 training images and 10,000 test images (True), or those 10,000 split (False). None: all if the
    60,000 are here or nothing is, so that everything is downloaded; the 10,000 if only they are here."""
    test_fraction: float = 0.15
    """Part that is measured at the end, where the source has no test part: the same one whatever the seed."""
    validation_fraction: float = 0.1
    """Part of the other images that is measured during training."""
    seed: int = 0
    """Decides which images are for validation."""

    def __post_init__(self) -> None:
        """Refuse impossible values with an InputError that names the field."""
        if not self.source:
            raise InputError("ImageDataConfig.source must be named, found an empty text")
        for name in ("test_fraction", "validation_fraction"):
            between(self, name, 0.0, 0.5)
            positive(self, name)
        at_least(self, "seed", 0)


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """How each training image is varied each time it comes; with every field 0, not at all.

    Example:
        >>> AugmentConfig().varies, AugmentConfig(degrees=10).varies
        (False, True)
    """

    degrees: float = 0.0
    """Turned by an angle from -degrees … degrees."""
    translate: float = 0.0
    """Moved, across and down, by up to this share of its width and height."""
    scale: float = 0.0
    """Enlarged by a factor from 1 - scale … 1 + scale."""
    erase: float = 0.0
    """Probability that a rectangle of it is blanked (Zhong et al. 2017, "Random erasing")."""

    def __post_init__(self) -> None:
        """Refuse impossible values with an InputError that names the field."""
        between(self, "degrees", 0.0, 180.0)
        between(self, "translate", 0.0, 1.0)
        between(self, "scale", 0.0, 1.0, upper_open=True)
        between(self, "erase", 0.0, 1.0)

    @property
    def varies(self) -> bool:
        """Whether any image is changed."""
        return any((self.degrees, self.translate, self.scale, self.erase))
