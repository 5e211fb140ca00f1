"""torchvision's datasets in the place of ours: an image set of one, where torchvision is installed.

Nothing of torchvision is imported: a dataset is known by the attributes that its MNIST, FashionMNIST, KMNIST, QMNIST,
EMNIST and USPS have. Its transforms need no adapter: they are steps of `Compose` like any function of an image.
"""

from typing import Any

import numpy as np

from groundup.data.image_sets import ImageSet


def image_set_of(dataset: Any) -> ImageSet:  # noqa: ANN401 - of a package that need not be there
    """Return the grey images that a dataset of torchvision holds in memory, untransformed, with its labels.

    Args:
        dataset: with `data` [N, H, W] of bytes, `targets` [N], and possibly `classes`, their names.

    Raises:
        TypeError: a dataset that keeps its images another way, as CIFAR10 (colour) and ImageFolder (files) do.

    Example:
        >>> class TwoOf:
        ...     data, targets, classes = np.zeros((2, 8, 8), np.uint8), [1, 0], ["ring", "stroke"]
        >>> found = image_set_of(TwoOf)
        >>> found.labels.tolist(), found.class_names
        ([1, 0], ('ring', 'stroke'))
    """
    images = np.asarray(getattr(dataset, "data", None))
    labels = getattr(dataset, "targets", None)
    if images.dtype != np.uint8 or images.ndim != 3 or labels is None:
        kind = type(dataset).__name__
        raise TypeError(f"expected a dataset with data [N, H, W] of uint8 and targets, found {kind}")
    labels = np.asarray(labels, np.int64)
    names = getattr(dataset, "classes", None) or range(int(labels.max(initial=-1)) + 1)
    return ImageSet(images, labels, tuple(map(str, names)))
