"""MNIST, 70,000 images of handwritten digits, from the IDX files it is published in: found, or downloaded."""

import contextlib
import os
import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt

from groundup.data.image_idx import read_labelled
from groundup.download import find_file, look_for, sha256_of
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


def mnist(
    train: bool, *, root: Path | None = None, download: bool = True
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Return one part of MNIST: images [N, 28, 28], where 0 is paper and 255 ink, and their digits [N].

    Args:
        train: the 60,000 training images; or the 10,000 test images.
        root: the folder of the files; they are put there if they are not. None: GROUNDUP_DATA/mnist, then the cache.
        download: fetch what is in none of them (11 MB, or 1.7 MB), into the cache.

    Raises:
        InputError: the files are nowhere and `download` is False or there is no network; or one is damaged.
    """
    files = TRAIN if train else TEST
    if not download and not is_here(train) and not (root and all((root / name).is_file() for name in files)):
        where = f"{root}, " if root else ""
        raise InputError(
            f"expected {' and '.join(files)} in {where}$GROUNDUP_DATA/mnist or the cache, and download is False"
        )
    images, labels = (
        _find(name, sha256) if root is None else _put(name, sha256, root) for name, sha256 in files.items()
    )
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


def _put(name: str, sha256: str, root: Path) -> Path:
    """Return the path of a file in a folder, copied there from where it is found if it is not there yet."""
    path = root / name
    if not path.is_file():
        found = _find(name, sha256)
        partial = root / f".{name}.{os.getpid()}.partial"
        try:
            root.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(found, partial)
            partial.replace(path)
        except OSError as error:
            raise InputError(f"expected to put {name} into {root}, found: {error.strerror or error}") from None
        finally:
            with contextlib.suppress(OSError):  # it may not be there, nor its folder
                partial.unlink()
    if (found_sum := sha256_of(path)) != sha256:
        raise InputError(f"expected {path} to have SHA-256 {sha256}, found {found_sum}: remove it, and it is put anew")
    return path
