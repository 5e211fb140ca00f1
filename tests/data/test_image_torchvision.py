"""torchvision in the place of ours: its datasets as image sets, its transforms as steps; where it can be installed."""

import importlib.util

import numpy as np
import pytest
import torch

from groundup.data.image_dataset import ImageDataset
from groundup.data.image_torchvision import image_set_of
from groundup.data.image_transforms import Compose, ToTensor

HAS_TORCHVISION = pytest.mark.skipif(
    importlib.util.find_spec("torchvision") is None,
    reason="torchvision is not installed: it has no build for this torch",
)


class Held:
    """What torchvision's MNIST has once it is loaded."""

    def __init__(self, data, targets, classes=None):
        self.data, self.targets = data, targets
        if classes is not None:
            self.classes = classes


def test_what_torchvision_holds_is_an_image_set():
    found = image_set_of(Held(torch.zeros(3, 4, 4, dtype=torch.uint8), torch.tensor([0, 2, 1]), ["0 - zero", "1", "2"]))
    assert (found.images.shape, found.labels.tolist()) == ((3, 4, 4), [0, 2, 1])
    assert found.class_names == ("0 - zero", "1", "2")
    assert image_set_of(Held(np.zeros((2, 4, 4), np.uint8), [0, 4])).class_names == ("0", "1", "2", "3", "4")


@pytest.mark.parametrize(
    "odd", [Held(np.zeros((2, 4, 4, 3), np.uint8), [0, 1]), Held(np.zeros((2, 4, 4), np.uint8), None), object()]
)
def test_what_keeps_its_images_another_way_is_refused(odd):
    with pytest.raises(TypeError, match=r"expected a dataset with data \[N, H, W\] of uint8 and targets"):
        image_set_of(odd)


@HAS_TORCHVISION
def test_its_transforms_are_steps_and_agree_with_ours():
    from torchvision import transforms

    images = np.random.default_rng(0).integers(0, 256, (4, 8, 8), dtype=np.uint8)
    theirs = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1,), (0.3,))])
    ours = ImageDataset(images, np.zeros(4, np.int64), transform=theirs)
    image, _ = ours[2]
    # The same two operations in float32, of values up to 3.
    np.testing.assert_allclose(image, (images[2][None] / 255 - 0.1) / 0.3, atol=1e-6)
    mixed = Compose([ToTensor(), torch.from_numpy, transforms.RandomErasing(p=1.0)])
    assert ImageDataset(images, np.zeros(4, np.int64), transform=mixed)[0][0].shape == (1, 8, 8)


@HAS_TORCHVISION
def test_our_transforms_are_its():
    from torchvision.datasets import FakeData

    image, _ = FakeData(2, (3, 8, 8), transform=Compose([np.asarray, lambda rgb: rgb[..., 0], ToTensor()]))[0]
    assert image.shape == (1, 8, 8)
