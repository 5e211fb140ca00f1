"""What a model of images is made of: one frozen dataclass for the MLP, the CNN and the ResNet."""

from dataclasses import dataclass
from typing import Literal

from groundup.configs.checks import at_least, between
from groundup.errors import InputError


@dataclass(frozen=True, kw_only=True)
class VisionConfig:
    """The shape and the parts of one model from images to logits.

    A field that is ``None`` is worked out from the images when a run starts. Fields that say for which family they are
    do nothing in the others.

    Example:
        >>> VisionConfig(family="resnet", channels=(16, 32, 64), blocks=2).n_convolutions  # 6n + 1 of He et al. 2015
        13
        >>> VisionConfig(family="mlp", channels=(8,))
        Traceback (most recent call last):
        groundup.errors.InputError: VisionConfig.channels must be empty for an mlp, found 8: leave it out
    """

    family: Literal["mlp", "cnn", "resnet"] = "cnn"
    """mlp: linear layers on all pixels. cnn: convolutions and max-pooling, then linear layers. resnet: convolutions
    with shortcuts around every two."""
    image_size: tuple[int, int] | None = None
    """Height and width of the images. None: the data's."""
    image_channels: int = 1
    """Numbers of a pixel: 1 for grey, 3 for colours."""
    n_classes: int | None = None
    """What is told apart. None: the data's."""
    channels: tuple[int, ...] = ()
    """cnn and resnet: the channels of each stage; each stage has half the height and width of the one before."""
    blocks: int = 1
    """cnn: convolutions in a stage. resnet: blocks in a stage, of two convolutions each."""
    kernel_size: int = 3
    """cnn: height and width of a kernel, an odd number."""
    hidden: tuple[int, ...] = ()
    """mlp and cnn: widths of the linear layers before the last."""
    groups: int = 8
    """Groups of channels that are normalized together, after each convolution; 0: nothing is. Of a stage with fewer
    channels than two for each group, fewer groups."""
    skip: bool = True
    """resnet: there are shortcuts. False: the same layers without, to see what they are for."""
    stem_pool: bool = False
    """resnet: max-pooling behind the first convolution, so that all blocks see half the height and width."""
    dropout: float = 0.0
    """Probability of zeroing an input of the last linear layer while training."""

    def __post_init__(self) -> None:
        """Refuse impossible combinations.

        Raises:
            InputError: naming the field, what it must be and what was found.
        """
        at_least(self, "image_channels", 1)
        at_least(self, "blocks", 1)
        at_least(self, "kernel_size", 1)
        at_least(self, "groups", 0)
        between(self, "dropout", 0.0, 1.0, upper_open=True)
        if self.n_classes is not None:
            at_least(self, "n_classes", 2)
        for name in ("channels", "hidden", "image_size"):
            widths = getattr(self, name) or ()
            if any(width < 1 for width in widths):
                raise InputError(f"VisionConfig.{name} must be numbers above 0, found {_spelled(widths)}")
        if self.kernel_size % 2 == 0:
            raise InputError(f"VisionConfig.kernel_size must be odd, found {self.kernel_size}: it has a middle then")
        self._check_family()

    @property
    def n_convolutions(self) -> int:
        """Convolutions on the longest way through the model; a projection shortcut is beside it."""
        if self.family == "mlp":
            return 0
        per_stage = self.blocks if self.family == "cnn" else 2 * self.blocks
        return (self.family == "resnet") + per_stage * len(self.channels)

    def _check_family(self) -> None:
        if self.family == "mlp" and self.channels:
            raise InputError(
                f"VisionConfig.channels must be empty for an mlp, found {_spelled(self.channels)}: leave it out"
            )
        if self.family != "mlp" and not self.channels:
            raise InputError(f"VisionConfig.channels must name at least one stage for a {self.family}, found none")
        if self.family == "resnet" and self.hidden:
            raise InputError(
                f"VisionConfig.hidden must be empty for a resnet, found {_spelled(self.hidden)}: its last layer reads "
                "the mean over the image; leave it out"
            )
        if self.family == "resnet" and self.stem_pool and min(self.image_size or (2, 2)) < 2:
            raise InputError(
                f"VisionConfig.stem_pool must be False for images of {_spelled(self.image_size or ())}, found True: it "
                "halves them, and nothing would be left"
            )
        if self.family == "cnn" and self.image_size is not None and min(self.image_size) < 1 << len(self.channels):
            raise InputError(
                f"VisionConfig.channels must be at most {min(self.image_size).bit_length() - 1} stages for images of "
                f"{_spelled(self.image_size)}, found {len(self.channels)}: each halves them, and nothing would be left"
            )


def _spelled(numbers: tuple[int, ...]) -> str:
    return ", ".join(map(str, numbers))
