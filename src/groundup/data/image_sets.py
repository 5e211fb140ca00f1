"""Labelled images in memory and their parts: scikit-learn's digits, MNIST, or a folder of IDX files."""

import functools
import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from groundup.configs.image_data import ImageDataConfig
from groundup.data.image_idx import read_labelled
from groundup.data.images import is_here, mnist
from groundup.data.permutation import derive_key, permute
from groundup.download import local_path
from groundup.errors import InputError

_TEST_KEY, _VALIDATION_KEY = 1, 2
DIGITS = tuple("0123456789")
"""The names of the classes of digits and mnist."""
_DIGITS_TABLE = "datasets/data/digits.csv.gz"


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images of one size, each of a class.

    Raises:
        ValueError: other shapes or types, or a label without a class.

    Example:
        >>> pair = ImageSet(np.zeros((2, 8, 8), np.uint8), np.array([1, 0]), ("ring", "stroke"))
        >>> len(pair), pair.counts.tolist()
        (2, [1, 1])
    """

    images: npt.NDArray[np.uint8]
    """[N, H, W], in memory or memory-mapped."""
    labels: npt.NDArray[np.int64]
    """The class of each [N]: 0 … len(class_names) - 1."""
    class_names: tuple[str, ...]
    """What the classes are called."""

    def __post_init__(self) -> None:
        """Refuse what does not fit together."""
        if self.images.ndim != 3 or self.images.dtype != np.uint8:
            raise ValueError(f"expected images [N, H, W] of uint8, found {self.images.dtype} {self.images.shape}")
        if self.labels.shape != (len(self.images),) or self.labels.dtype != np.int64:
            raise ValueError(
                f"expected labels [{len(self.images)}] of int64, found {self.labels.dtype} {self.labels.shape}"
            )
        if self.labels.size and not 0 <= self.labels.min() <= self.labels.max() < len(self.class_names):
            raise ValueError(f"expected labels of {len(self.class_names)} classes, found up to {self.labels.max()}")

    def __len__(self) -> int:
        return len(self.images)

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """How many images each class has."""
        return np.bincount(self.labels, minlength=len(self.class_names)).astype(np.int64)

    def take(self, indices: npt.NDArray[np.int64]) -> "ImageSet":
        """Return some of the images, in the order of `indices`; copied."""
        return ImageSet(np.asarray(self.images[indices]), self.labels[indices], self.class_names)


@dataclass(frozen=True, eq=False, kw_only=True)
class ImageSplits:
    """What is learned, what is measured during training, and what is measured at its end."""

    train: ImageSet
    """Learned from."""
    validation: ImageSet
    """Only measured: early stopping and the choice of settings go by it."""
    test: ImageSet
    """Measured once, at the end."""
    said: str
    """Where the images come from and how they were split, in one line for people."""


def load_images(config: ImageDataConfig) -> ImageSplits:
    """Find or download the images that a config names, and split them.

    The test part is the source's own where it has one; else it is drawn, the same one whatever the seed, so that runs
    with other seeds stay comparable. The validation part is drawn by the seed from what is left.

    Raises:
        InputError: nothing there, a damaged file, too few images for the parts, or digits without scikit-learn.
    """
    whole, test, origin = _source(config)
    if test is None:
        whole, test = split(whole, config.test_fraction, derive_key(_TEST_KEY))
    train, validation = split(whole, config.validation_fraction, derive_key(_VALIDATION_KEY, config.seed))
    said = f"{origin}: {len(train):,} to learn from, {len(validation):,} for validation, {len(test):,} for the test"
    return ImageSplits(train=train, validation=validation, test=test, said=said)


def split(images: ImageSet, fraction: float, key: int) -> tuple[ImageSet, ImageSet]:
    """Return an image set without a part of it that is drawn by chance, and that part, both in their old order.

    Raises:
        InputError: one of the two would be empty.

    Example:
        >>> ten = ImageSet(np.zeros((10, 8, 8), np.uint8), np.zeros(10, np.int64), ("blank",))
        >>> [len(part) for part in split(ten, 0.2, key=0)]
        [8, 2]
    """
    n = len(images)
    held_out = round(n * fraction)
    if not 0 < held_out < n:
        raise InputError(f"expected enough images to hold out {fraction:g} of them, found {n}: raise the fraction")
    order = permute(np.arange(n), n, key)
    return images.take(np.sort(order[held_out:])), images.take(np.sort(order[:held_out]))


def _source(config: ImageDataConfig) -> tuple[ImageSet, ImageSet | None, str]:
    """Return the images to learn from, those for the test if the source has such, and what they are."""
    if config.source == "digits":
        return _digits(), None, "scikit-learn's 1,797 digits of 8 x 8"
    if config.source == "mnist":
        return _mnist(config.full_mnist)
    return _folder(local_path(config.source))


def _mnist(full: bool | None) -> tuple[ImageSet, ImageSet | None, str]:
    everything = is_here(train=True) or not is_here(train=False) if full is None else full
    test = ImageSet(*mnist(train=False), DIGITS)
    if everything:
        return ImageSet(*mnist(train=True), DIGITS), test, "MNIST"
    why = "as data.full_mnist asks" if is_here(train=True) else "for its 60,000 training images are not here"
    return test, None, f"the 10,000 test images of MNIST, split, {why}"


@functools.cache
def _digits() -> ImageSet:
    """Read the table that lies in scikit-learn's package: to import it takes seconds, and nothing of it is needed."""
    package = importlib.util.find_spec("sklearn")
    folders = (package and package.submodule_search_locations) or ()
    table = next((file for folder in folders if (file := Path(folder) / _DIGITS_TABLE).is_file()), None)
    if table is None:
        raise InputError(
            "expected scikit-learn, which brings the digits, found none: pip install 'groundup[vision]', or take mnist"
        )
    rows = np.loadtxt(table, delimiter=",", dtype=np.float32)  # [N, 65]: 64 pixels of 0 … 16, and the digit
    images = np.rint(rows[:, :-1] * (255 / 16)).astype(np.uint8).reshape(-1, 8, 8)
    return ImageSet(images, rows[:, -1].astype(np.int64), DIGITS)


def _folder(folder: Path) -> tuple[ImageSet, ImageSet | None, str]:
    """Read a folder of IDX files; a file classes.txt in it may name the classes, one in a line."""
    if not folder.is_dir():
        raise InputError(f"expected data.source to be digits, mnist or a folder with IDX files, found {str(folder)!r}")
    class_names = _class_names(folder / "classes.txt")
    train = read_labelled(*_files(folder, "train"), n_classes=len(class_names) or None)
    class_names = class_names or tuple(map(str, range(int(train[1].max()) + 1)))
    test = None
    if any(folder.glob("t10k-*")):
        size = (train[0].shape[1], train[0].shape[2])
        test = ImageSet(*read_labelled(*_files(folder, "t10k"), n_classes=len(class_names), size=size), class_names)
    return ImageSet(*train, class_names), test, str(folder)


def _class_names(file: Path) -> tuple[str, ...]:
    """Return the names in a file, one in a line; none where there is no file."""
    if not file.is_file():
        return ()
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()  # an editor may begin it with a byte order mark
    except UnicodeDecodeError as error:
        raise InputError(
            f"expected {file} to be UTF-8, found another byte at offset {error.start}: save it so"
        ) from None
    except OSError as error:
        raise InputError(f"expected to read {file}, found: {error.strerror or error}") from None
    return tuple(name.strip() for name in lines if name.strip())


def _files(folder: Path, part: str) -> tuple[Path, Path]:
    images, labels = (_file(folder / f"{part}-{kind}-ubyte") for kind in ("images-idx3", "labels-idx1"))
    return images, labels


def _file(plain: Path) -> Path:
    """Return a file's path, or that of its gzipped form where only that is there."""
    zipped = plain.with_name(f"{plain.name}.gz")
    if not plain.is_file() and not zipped.is_file():
        raise InputError(f"expected {plain.name} or {zipped.name} in {plain.parent}, found neither")
    return plain if plain.is_file() else zipped
