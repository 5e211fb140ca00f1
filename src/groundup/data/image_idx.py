"""IDX files, the format MNIST is published in: read, memory-mapped, written, and images held against their labels."""

import math
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from groundup.errors import InputError

_DTYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
"""Element types by the third byte of an IDX file (LeCun, Cortes, Burges: the MNIST database, "file formats")."""
_CODES = {np.dtype(name).newbyteorder("="): code for code, name in _DTYPES.items()}
_MOST_DIMENSIONS = 32
_CHUNK = 1 << 14  # compressed bytes that are unpacked at once, and so how exactly damage is placed


def read_idx(path: Path) -> npt.NDArray[Any]:
    """Return the array in an IDX file, gzipped if its name ends in .gz.

    The format: two zero bytes, one for the element type, one for the number of dimensions; each dimension's size in
    four bytes, the largest first; then the elements.

    Raises:
        InputError: not an IDX file, or one that is cut short or damaged: with the offset at which it shows. In a
            gzipped file offsets are those of its content, once that can be unpacked.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "two.idx"
        >>> _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 2, 7, 9]))
        >>> read_idx(path)
        array([7, 9], dtype=uint8)
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"expected an IDX file at {path}, could not read it: {error.strerror or error}") from None
    if path.suffix == ".gz":
        content = _unpacked(content, path)
    dtype, shape, start = _header(content, len(content), path)
    return np.frombuffer(content, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="))


def map_idx(path: Path) -> npt.NDArray[Any]:
    """Return the array in an IDX file without reading it: memory-mapped, read-only, of the file's own byte order.

    Raises:
        InputError: as `read_idx`; or a gzipped file, which cannot be mapped.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "rows.idx"
        >>> write_idx(path, np.arange(6, dtype=np.uint8).reshape(3, 2))
        >>> rows = map_idx(path)
        >>> type(rows).__name__, rows[1].tolist()
        ('memmap', [2, 3])
    """
    if path.suffix == ".gz":
        raise InputError(f"expected an IDX file that is not compressed, found {path}: unpack it first (gunzip -k)")
    try:
        with path.open("rb") as file:
            head = file.read(4 + 4 * _MOST_DIMENSIONS)
        dtype, shape, start = _header(head, path.stat().st_size, path)
        if not math.prod(shape):
            return np.empty(shape, dtype)  # nothing cannot be mapped
        return np.memmap(path, dtype, mode="r", offset=start, shape=shape)
    except OSError as error:
        raise InputError(f"expected an IDX file at {path}, could not read it: {error.strerror or error}") from None


def write_idx(path: Path, array: npt.NDArray[Any]) -> None:
    """Write an array of one of the format's six element types, uncompressed; what was there is replaced.

    Raises:
        ValueError: another element type, or too many dimensions.
    """
    dtype = array.dtype.newbyteorder("=")
    if dtype not in _CODES or not 1 <= array.ndim <= _MOST_DIMENSIONS:
        raise ValueError(f"expected an array of {', '.join(map(str, _CODES))}, found {array.dtype} {array.shape}")
    sizes = struct.pack(f">{array.ndim}I", *array.shape)
    with path.open("wb") as file:
        file.write(bytes([0, 0, _CODES[dtype], array.ndim]) + sizes)
        file.write(np.ascontiguousarray(array, dtype.newbyteorder(">")).data)


def read_labelled(
    images_file: Path, labels_file: Path, *, n_classes: int | None = None, size: tuple[int, int] | None = None
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Return the images [N, H, W] of one IDX file and their labels [N] of another.

    Args:
        images_file: three dimensions of bytes.
        labels_file: one dimension of bytes.
        n_classes: labels are below it; None: any label.
        size: height and width that the images must have; None: any.

    Raises:
        InputError: as `read_idx`; or images or labels of another shape, a label for which there is no class, numbers
            of images and labels that differ, or none at all: each with file and offset.
    """
    images, labels = read_idx(images_file), read_idx(labels_file)
    for what, array, file, n in (("images [N, height, width]", images, images_file, 3),
                                 ("labels [N]", labels, labels_file, 1)):  # fmt: skip
        if array.dtype != np.uint8:
            raise InputError(f"expected {what} of bytes (8) at offset 2 of {file}, found {array.dtype}")
        if array.ndim != n:
            raise InputError(f"expected {what}, so {n} at offset 3 of {file}, found {array.ndim} dimensions")
    if not images.size:
        raise InputError(f"expected images, found the shape {list(images.shape)} at offset 4 of {images_file}")
    if size is not None and images.shape[1:] != size:
        found = " x ".join(map(str, images.shape[1:]))
        raise InputError(f"expected images of {size[0]} x {size[1]}, found {found} at offset 8 of {images_file}")
    if len(images) != len(labels):
        raise InputError(
            f"expected a label for each of the {len(images):,} images of {images_file}, found {len(labels):,} at "
            f"offset 4 of {labels_file}: do the two belong together?"
        )
    if n_classes is not None and (outside := np.flatnonzero(labels >= n_classes)).size:
        raise InputError(
            f"expected labels 0 … {n_classes - 1}, found {labels[outside[0]]} at offset {8 + outside[0]} of "
            f"{labels_file} (image {outside[0]})"
        )
    return images, labels.astype(np.int64)


def _unpacked(content: bytes, path: Path) -> bytes:
    """Return what a gzipped file holds; its format ends in a checksum, which is verified."""
    unpacker = zlib.decompressobj(wbits=31)  # 31: a gzip header, the largest window
    parts = []
    for start in range(0, len(content), _CHUNK):
        try:
            parts.append(unpacker.decompress(content[start : start + _CHUNK]))
        except zlib.error as error:
            end = min(start + _CHUNK, len(content))
            raise InputError(
                f"expected a gzipped file at {path}, found damage between offsets {start} and {end} ({error}): "
                "download it again"
            ) from None
    if not unpacker.eof:
        raise InputError(
            f"expected the end of a gzipped file, found it cut short at offset {len(content)} of {path}: "
            "download it again"
        )
    end = len(content) - len(unpacker.unused_data)
    if end < len(content):
        raise InputError(f"expected a gzipped file to end at offset {end} of {path}, found more: download it again")
    return b"".join(parts)


def _header(head: bytes, n_bytes: int, path: Path) -> tuple[np.dtype[Any], tuple[int, ...], int]:
    """Return the element type, the shape and where the elements begin in a file of `n_bytes` with this begin."""
    if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in _DTYPES or not 1 <= head[3] <= _MOST_DIMENSIONS:
        raise InputError(
            "expected an IDX file (two zero bytes, an element type of 8, 9 or 11 to 14, 1 to 32 dimensions), found "
            f"{list(head[:4])} at offset 0 of {path}: is it the right file?"
        )
    start = 4 + 4 * head[3]
    if len(head) < start:
        raise InputError(f"expected {head[3]} sizes, found the file cut short at offset {len(head)} of {path}")
    shape = struct.unpack(f">{head[3]}I", head[4:start])
    dtype = np.dtype(_DTYPES[head[2]])
    end = start + math.prod(shape) * dtype.itemsize
    if n_bytes != end:
        what = "the file cut short" if n_bytes < end else "more"
        raise InputError(
            f"expected the elements of shape {list(shape)} to end at offset {end:,} of {path}, found {what}, at "
            f"{n_bytes:,}: download it again"
        )
    return dtype, shape, start
