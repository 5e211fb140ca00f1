"""Images of handwritten digits: MNIST's test set, 10,000 of them, from the IDX files it is published in."""

import gzip
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from groundup.download import find_file
from groundup.errors import InputError

_SOURCE = "https://ossci-datasets.s3.amazonaws.com/mnist/"
_FILES = {
    "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}
_DTYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
"""Element types by the third byte of an IDX file (LeCun, Cortes, Burges: the MNIST database, "file formats")."""


def read_idx(path: Path) -> npt.NDArray[Any]:
    """Return the array in an IDX file, gzipped if its name ends in .gz.

    The format: two zero bytes, one for the element type, one for the number of dimensions; each dimension's size in
    four bytes, the largest first; then the elements.

    Raises:
        InputError: not an IDX file, or one that is cut short.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "two.idx"
        >>> _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 2, 7, 9]))
        >>> read_idx(path)
        array([7, 9], dtype=uint8)
    """
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"expected an IDX file at {path}, could not read it ({error}): download it again") from error
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in _DTYPES:
        raise InputError(f"expected an IDX file, found other content in {path}: is it the right file?")
    start = 4 + 4 * content[3]
    if len(content) < start:
        raise InputError(f"expected {content[3]} sizes in {path}, found the file cut short: download it again")
    shape = struct.unpack(f">{content[3]}I", content[4:start])
    dtype = np.dtype(_DTYPES[content[2]])
    n_bytes = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    if len(content) - start != n_bytes:
        raise InputError(
            f"expected {n_bytes:,} bytes of elements of shape {list(shape)} in {path}, found {len(content) - start:,}: "
            "download it again"
        )
    return np.frombuffer(content, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="))


def mnist_test() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Return MNIST's 10,000 test images [N, 28, 28], 0 is paper and 255 ink, and their digits [N].

    They are looked for in GROUNDUP_DATA/mnist, then in the cache, then downloaded (1.7 MB).

    Raises:
        InputError: they are nowhere and there is no network, or a file is damaged.
    """
    images, labels = (
        read_idx(find_file(f"mnist/{name}", url=_SOURCE + name, sha256=sha256)) for name, sha256 in _FILES.items()
    )
    return images, labels.astype(np.int64)
