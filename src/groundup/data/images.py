"""MNIST, 70,000 images of handwritten digits, from the IDX files it is published in: found, or downloaded."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from groundup.data.image_idx import read_labelled
from groundup.download import find_file, look_for
from groundup.errors import InputError

MIRRORS = ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/")
"""Where the files are published, tried in this order."""
TRAIN = {
    "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
}
"""The files of the 60,000 training images, and their SHA-256."""
TEST = {
    "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}
"""Those of the 10,000 test images."""
N_DIGITS = 10


def mnist(train: bool, *, download: bool = True) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Return one part of MNIST: images [N, 28, 28], where 0 is paper and 255 ink, and their digits [N].

    Args:
        train: the 60,000 training images; or the 10,000 test images.
        download: fetch what is neither in GROUNDUP_DATA/mnist nor in the cache (11 MB, or 1.7 MB), into the cache.

    Raises:
        InputError: the files are nowhere and `download` is False or there is no network; or one is damaged.
    """
    files = TRAIN if train else TEST
    if not download and not is_here(train):
        raise InputError(f"expected {' and '.join(files)} in $GROUNDUP_DATA/mnist or the cache, and download is False")
    images, labels = (_find(name, sha256) for name, sha256 in files.items())
    return read_labelled(images, labels, n_classes=N_DIGITS, size=(28, 28))


def mnist_test() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Return MNIST's 10,000 test images [N, 28, 28] and their digits [N]; see `mnist`."""
    return mnist(train=False)


def is_here(train: bool) -> bool:
    """Return whether the files of one part of MNIST are on this machine; they are not read."""
    return all(look_for(f"mnist/{name}") for name in (TRAIN if train else TEST))


def _find(name: str, sha256: str) -> Path:
    """Return the path of a file of MNIST, from the first mirror that has it if it is not on this machine."""
    for mirror in MIRRORS:
        try:
            return find_file(f"mnist/{name}", url=mirror + name, sha256=sha256)
        except InputError:
            if mirror == MIRRORS[-1] or look_for(f"mnist/{name}"):  # a damaged file here: another mirror does not help
                raise
    raise AssertionError("there is a mirror")
