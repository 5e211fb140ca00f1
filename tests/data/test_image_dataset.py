"""The dataset: samples decided by seed, epoch and index in torch's DataLoader and ours, with any number of workers."""

import copy
import pickle

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader as TorchLoader

from groundup.data.image_augment import RandomAffine
from groundup.data.image_dataset import ImageDataset
from groundup.data.image_idx import map_idx, write_idx
from groundup.data.image_transforms import Compose, ToTensor
from groundup.engine.loader import DataLoader

N, B = 22, 4
IMAGES = np.random.default_rng(0).integers(0, 256, (N, 6, 8), dtype=np.uint8)
LABELS = np.arange(N) % 10


def noise(image, random):
    return image + random.normal(0, 1, image.shape).astype(np.float32)


VARIED = Compose([ToTensor(), RandomAffine(20, 0.1), noise])


def dataset(transform=VARIED, seed=1):
    return ImageDataset(IMAGES, LABELS, transform, seed)


def all_of(batches):
    """Return the images of all batches by label and order: those of an epoch that is not shuffled."""
    pairs = [(np.asarray(images), np.asarray(labels)) for images, labels in batches]
    return np.concatenate([images for images, _ in pairs]), np.concatenate([labels for _, labels in pairs])


def test_a_sample_is_an_image_and_its_label():
    image, label = dataset(ToTensor())[3]
    np.testing.assert_array_equal(image, ToTensor()(IMAGES[3]))
    assert (label, type(label), len(dataset())) == (3, int, N)
    plain, _ = dataset(None)[-1]
    np.testing.assert_array_equal(plain, IMAGES[-1])
    plain[:] = 0  # a copy of its own
    assert IMAGES[-1].any()
    with pytest.raises(IndexError):
        dataset()[N]


def test_asked_alone_or_in_a_batch_a_sample_is_the_same():
    whole = dataset()
    for samples in (whole.__getitems__([5, 2, 21]), list(zip(*whole.fetch_batch([5, 2, 21]), strict=True))):
        for index, (image, label) in zip([5, 2, 21], samples, strict=True):
            np.testing.assert_array_equal(image, whole[index][0])
            assert label == whole[index][1]


def test_seed_and_epoch_decide():
    whole = dataset()
    first = whole[0][0]
    whole.set_epoch(1)
    second = whole[0][0]
    whole.set_epoch(0)
    np.testing.assert_array_equal(whole[0][0], first)
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, dataset(seed=2)[0][0])


@pytest.mark.filterwarnings("ignore:This DataLoader will create 2 worker")  # torch's, on a machine of one core
@pytest.mark.parametrize("n_workers", [0, 2])
@pytest.mark.parametrize("loader", ["torch", "ours"])
def test_in_both_loaders_with_any_number_of_workers(loader, n_workers):
    whole = dataset()
    expected = np.stack([whole[i][0] for i in range(N)])
    make = TorchLoader if loader == "torch" else DataLoader
    batches = list(make(whole, batch_size=B, num_workers=n_workers))
    images, labels = all_of([(i.numpy(), n.numpy()) for i, n in batches])
    np.testing.assert_array_equal(images, expected)
    assert labels.tolist() == LABELS.tolist()
    assert (images.dtype, labels.dtype) == (np.float32, np.int64)
    if loader == "torch":
        assert isinstance(batches[0][0], torch.Tensor)


@pytest.mark.parametrize("loader", ["torch", "ours"])
def test_an_epoch_reaches_workers_that_are_kept(loader):
    whole = dataset()
    make = TorchLoader if loader == "torch" else DataLoader
    kept = make(whole, batch_size=B, num_workers=1, persistent_workers=True)
    for epoch in (0, 1, 5):
        whole.set_epoch(epoch)
        images, _ = all_of([(i.numpy(), n.numpy()) for i, n in kept])
        np.testing.assert_array_equal(images, np.stack([whole[i][0] for i in range(N)]))


@pytest.mark.slow  # a new interpreter takes seconds
@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_an_epoch_reaches_workers_that_were_not_forked(method):
    whole = ImageDataset(IMAGES, LABELS, RandomAffine(20, 0.1), seed=1)
    kept = TorchLoader(whole, B, num_workers=1, persistent_workers=True, multiprocessing_context=method)
    for epoch in (0, 3):
        whole.set_epoch(epoch)
        images, _ = all_of([(i.numpy(), n.numpy()) for i, n in kept])
        np.testing.assert_array_equal(images, np.stack([whole[i][0] for i in range(N)]))


@pytest.mark.parametrize("copied", [copy.deepcopy, copy.copy, lambda one: pickle.loads(pickle.dumps(one))])
def test_a_copy_has_an_epoch_of_its_own(copied):
    whole = dataset()
    whole.set_epoch(3)
    other = copied(whole)
    assert other.epoch == 3
    np.testing.assert_array_equal(other[2][0], whole[2][0])
    other.set_epoch(4)
    assert whole.epoch == 3


def test_memory_mapped_images_are_samples_too(tmp_path):
    write_idx(tmp_path / "images", IMAGES)
    mapped = ImageDataset(map_idx(tmp_path / "images"), LABELS, VARIED, seed=1)
    np.testing.assert_array_equal(mapped[4][0], dataset()[4][0])
    images, _ = next(iter(TorchLoader(ImageDataset(map_idx(tmp_path / "images"), LABELS), batch_size=2)))
    np.testing.assert_array_equal(images, IMAGES[:2])  # torch would warn of memory that cannot be written


def test_images_without_labels_are_refused():
    with pytest.raises(ValueError, match="found 22 images and 21 labels"):
        ImageDataset(IMAGES, LABELS[:-1])
