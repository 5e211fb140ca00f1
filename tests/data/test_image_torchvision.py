"""torchvision in the place of ours: its datasets as image sets, its transforms as steps; where it can be imported."""

import importlib.util

import numpy as np
import pytest
import torch
from tests.data.idx_bytes import idx

from groundup.data.image_dataset import ImageDataset
from groundup.data.image_torchvision import image_set_of
from groundup.data.image_transforms import Compose, ToTensor


def why_not() -> str | None:
    """Return why torchvision cannot be used here, None where it can."""
    if importlib.util.find_spec("torchvision") is None:
        return "torchvision is not installed: it has no build for every torch"
    try:
        import torchvision  # noqa: F401
    except (ImportError, RuntimeError) as error:  # built for another torch
        return f"torchvision cannot be imported: {error}"
    return None


HAS_TORCHVISION = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")


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


@HAS_TORCHVISION
def test_its_mnist_is_an_image_set(tmp_path):
    from torchvision.datasets import MNIST

    raw = tmp_path / "MNIST/raw"
    raw.mkdir(parents=True)
    images = np.random.default_rng(0).integers(0, 256, (3, 28, 28), dtype=np.uint8)
    for part in ("train", "t10k"):
        (raw / f"{part}-images-idx3-ubyte").write_bytes(idx(images))
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(idx(np.array([2, 0, 9], np.uint8)))
    found = image_set_of(MNIST(str(tmp_path), train=False))
    np.testing.assert_array_equal(found.images, images)
    assert (found.labels.tolist(), len(found.class_names)) == ([2, 0, 9], 10)
