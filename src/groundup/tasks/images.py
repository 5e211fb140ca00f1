"""Classes of images: mixed and smoothed targets, their cross-entropy, validation by accuracy, and pictures of it.

Shapes: B images of a batch, M images that are measured, C channels, H rows, W columns, N classes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from groundup.configs.training import TrainConfig
from groundup.data.image_sets import ImageSet
from groundup.data.permutation import derive_key
from groundup.errors import InputError
from groundup.evaluation.classification import classification_metrics
from groundup.evaluation.image_pictures import confusion_picture, mistakes_picture, worst_first

Floats = npt.NDArray[np.float32]
IMAGES_AT_ONCE = 250
"""Images that are read in one pass outside training."""
SAMPLED_IMAGES = 8
"""Validation images that `sample` tells of."""
DESCRIBED_IMAGES = 64
"""Rows of a micro-batch that `describe` spells out."""


class Batches(Protocol):
    """Where training images come from (`data.image_batches.ImageBatches`)."""

    def at(self, step: int) -> tuple[Floats, npt.NDArray[np.int64]]:
        """Return the images of one step, [B, C, H, W], and their classes [B]: a pure function of `step`."""


@dataclass(frozen=True)
class ImageBatch:
    """Images with what they are to be taken for."""

    images: Tensor
    """As the model reads them, float32 [B, C, H, W]."""
    targets: Tensor
    """The share of each class, before smoothing, float32 [B, N]: rows add up to 1."""


class ImageClassification:
    """Learn to tell images apart.

    The loss of an image is F.cross_entropy's with its `label_smoothing`: of the target (1 - ε) · share + ε / N for each
    class. With mixup (Zhang et al. 2018) an image is λ of itself and 1 - λ of another of its step, and so is its
    target; λ is drawn from Beta(mixup, mixup) for each. What is drawn is a pure function of seed and step, for the
    whole step: what it learns from does not depend on how it is cut into micro-batches.

    Args:
        train: the images of each step, all of them: batch_size * accumulation_steps.
        validation: images to measure on, as they are shown in pictures.
        inputs: the same as a model reads them, float32 [M, C, H, W].
        training: batch sizes, seed, and what to evaluate; evaluation.max_tokens counts images.
        label_smoothing: ε.
        mixup: see above. 0: images stay themselves.

    Raises:
        InputError: nothing to measure on.

    Example:
        >>> class Blank:
        ...     def at(self, step):
        ...         return np.zeros((4, 1, 8, 8), np.float32), np.array([0, 1, 1, 0])
        >>> blank = ImageSet(np.zeros((2, 8, 8), np.uint8), np.array([0, 1]), ("ring", "stroke"))
        >>> inputs = np.zeros((2, 1, 8, 8), np.float32)
        >>> training = TrainConfig(batch_size=2, accumulation_steps=2)
        >>> task = ImageClassification(train=Blank(), validation=blank, inputs=inputs, training=training)
        >>> [batch.targets.tolist() for batch in task.train_batch(0)]
        [[[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]]]
    """

    def __init__(
        self,
        *,
        train: Batches,
        validation: ImageSet,
        inputs: Floats,
        training: TrainConfig,
        label_smoothing: float = 0.0,
        mixup: float = 0.0,
    ) -> None:
        n = min(len(validation), training.evaluation.max_tokens)
        if n == 0:
            raise InputError("expected images to measure on, found none: raise validation_fraction")
        self.names = validation.class_names
        self._train, self._training = train, training
        self._label_smoothing, self._mixup = label_smoothing, mixup
        self._shown, self._labels = validation.images[:n], validation.labels[:n]
        self._inputs = torch.from_numpy(inputs[:n])

    @property
    def floor(self) -> None:
        """None: how well the images can be told apart is not known."""
        return None

    def train_batch(self, step: int) -> list[ImageBatch]:
        """Return the micro-batches of one step: its images, cut into accumulation_steps parts."""
        images, labels = self._train.at(step)
        targets = np.eye(len(self.names), dtype=np.float32)[labels]  # [B, N]
        if self._mixup:
            images, targets = mixed(images, targets, self._mixup, derive_key(self._training.seed, step))
        parts = self._training.accumulation_steps
        pairs = zip(torch.from_numpy(images).chunk(parts), torch.from_numpy(targets).chunk(parts), strict=True)
        return [ImageBatch(x, y) for x, y in pairs]

    def n_targets(self, batch: ImageBatch) -> int:
        """Return B."""
        return len(batch.targets)

    def n_tokens(self, batch: ImageBatch) -> int:
        """Return B: what is read is counted in images."""
        return len(batch.images)

    def loss(self, model: nn.Module, batch: ImageBatch) -> Tensor:
        """Return the cross-entropy summed over the images, in nats, computed in float32 or better."""
        device = next(model.parameters()).device
        logits = model(batch.images.to(device, non_blocking=True))  # [B, N]
        targets = batch.targets.to(device, non_blocking=True)
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        return F.cross_entropy(logits, targets, reduction="sum", label_smoothing=self._label_smoothing)

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Return "loss" (nats, of the plain targets) and "accuracy" on the first validation images."""
        logits = class_logits(model, self._inputs)  # [M, N]
        loss = F.cross_entropy(logits, torch.from_numpy(self._labels)).item()
        if not math.isfinite(loss):
            return {"loss": loss}  # the loop says what broke
        figures = classification_metrics(self._labels, logits.softmax(dim=1).numpy())
        return {"loss": loss, "accuracy": figures["accuracy"]}

    def sample(self, model: nn.Module, step: int) -> str:
        """Return what a few validation images are and were taken for: the worst mistakes, then doubts."""
        if self._training.evaluation.sample_tokens == 0:
            return ""
        found = class_logits(model, self._inputs).softmax(dim=1).numpy()
        said = found.argmax(axis=1)
        return "\n".join(
            f"{'right' if said[i] == self._labels[i] else 'WRONG'}  {self.names[self._labels[i]]}, "
            f"said {self.names[said[i]]} ({found[i, said[i]]:.0%})  validation image {i}"
            for i in worst_first(self._labels, found)[:SAMPLED_IMAGES]
        )

    def pictures(self, model: nn.Module, step: int) -> dict[str, npt.NDArray[np.uint8]]:
        """Return what was taken for what, and the images that were taken for something else; where samples are."""
        if self._training.evaluation.sample_tokens == 0:
            return {}
        found = class_logits(model, self._inputs).softmax(dim=1).numpy()
        return {
            "confusion": confusion_picture(self._labels, found, self.names),
            "mistakes": mistakes_picture(self._shown, self._labels, found, self.names),
        }

    def describe(self, batch: ImageBatch) -> str:
        """Return of what each row consists, a line each."""
        width = len(str(len(batch.targets)))
        lines = []
        for i, shares in enumerate(batch.targets[:DESCRIBED_IMAGES].tolist(), 1):
            parts = [f"{share:.0%} {self.names[c]}" for c, share in enumerate(shares) if share]
            lines.append(f"row {i:>{width}}  {', '.join(parts)}")
        more = len(batch.targets) - len(lines)
        return "\n".join([*lines, *([f"… {more} more rows"] if more else [])])


def mixed(images: Floats, targets: Floats, alpha: float, key: int) -> tuple[Floats, Floats]:
    """Mix each image with another of the batch, and their targets in the same shares (Zhang et al. 2018, equation 1).

    Args:
        images: [B, C, H, W].
        targets: [B, N].
        alpha: shares come from Beta(alpha, alpha): below 1 mostly near 0 or 1.
        key: decides the shares and the partners.

    Example:
        >>> images, targets = np.arange(4, dtype=np.float32).reshape(4, 1, 1, 1), np.eye(4, dtype=np.float32)
        >>> found, shares = mixed(images, targets, 1.0, key=0)
        >>> np.allclose(found.ravel(), shares @ images.ravel())
        True
    """
    random = np.random.default_rng(key)
    share = random.beta(alpha, alpha, len(images)).astype(np.float32)  # [B]
    order = random.permutation(len(images))
    partner = np.empty_like(order)
    partner[order] = np.roll(order, 1)  # in a ring, so that none is its own
    of_image, of_target = share[:, None, None, None], share[:, None]
    return (
        of_image * images + (1 - of_image) * images[partner],
        of_target * targets + (1 - of_target) * targets[partner],
    )


def lowest_training_loss(shares: Sequence[float], *, label_smoothing: float, mixup: float) -> float | None:
    """Return the mean entropy of the targets in nats, below which no model's training loss stays; None: no closed form.

    Smoothed, a target is 1 - ε + ε / N for its class and ε / N for each other. Mixed, it is λ and 1 - λ for two
    classes, whose mean entropy over λ ~ Beta(a, a) is ψ(2a + 1) - ψ(a + 1), ψ being the digamma function; two images
    are of one class with probability Σ p², and of no entropy then.

    Args:
        shares: p, what part of the images is of each class [N].
        label_smoothing: ε.
        mixup: a. 0: images are not mixed.

    Example:
        >>> round(lowest_training_loss([0.1] * 10, label_smoothing=0.1, mixup=0.0), 4)
        0.5003
        >>> lowest_training_loss([0.5, 0.5], label_smoothing=0.0, mixup=1.0)  # half of ψ(3) - ψ(2) = 1/2
        0.25
    """
    if label_smoothing and mixup:
        return None
    if mixup:
        digamma = torch.digamma(torch.tensor([2 * mixup + 1, mixup + 1], dtype=torch.float64))
        return (1 - sum(share**2 for share in shares)) * (digamma[0] - digamma[1]).item()
    other = label_smoothing / len(shares)
    target = [1 - label_smoothing + other, *[other] * (len(shares) - 1)]
    return -sum(share * math.log(share) for share in target if share)


def class_logits(model: nn.Module, inputs: Tensor) -> Tensor:
    """Return the logits of the classes for images [M, C, H, W]: float64 [M, N] on the CPU.

    Dropout is off, and the model's mode is left as it was.

    Example:
        >>> class_logits(nn.Sequential(nn.Flatten(), nn.Linear(4, 3)), torch.zeros(5, 1, 2, 2)).shape
        torch.Size([5, 3])
    """
    device, was_training = next(model.parameters()).device, model.training
    model.eval()
    try:
        with torch.inference_mode():
            parts = [
                model(inputs[i : i + IMAGES_AT_ONCE].to(device)).double().cpu()
                for i in range(0, len(inputs), IMAGES_AT_ONCE)
            ]
    finally:
        model.train(was_training)
    return torch.cat(parts)
