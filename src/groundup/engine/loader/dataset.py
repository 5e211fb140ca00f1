"""Datasets: what a loader reads samples from, by index or as a stream, and the ones that need no writing."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np

from groundup.engine.errors import DTypeError, ShapeError
from groundup.engine.ops.rules import Array
from groundup.engine.tensor import Tensor

T_co = TypeVar("T_co", covariant=True)


class Dataset(Protocol[T_co]):
    """Samples by index: anything with `__len__` and `__getitem__`. A list is one; inheriting from this is optional.

    Two more methods are used where a dataset has them, because asking once for a batch is faster than once a sample:

    - `__getitems__(indices: list[int]) -> list`: the samples of a batch, in order (torch has the same).
    - `fetch_batch(indices: list[int])`: the batch itself, arrays with the batch as first dimension. A loader that is
      given a `collate_fn` does not ask for it.

    Example:
        >>> class Squares(Dataset[int]):
        ...     def __len__(self) -> int:
        ...         return 5
        ...
        ...     def __getitem__(self, index: int) -> int:
        ...         return index**2
        >>> Squares()[3]
        9
    """

    def __len__(self) -> int:
        """Return the number of samples."""
        raise NotImplementedError(f"{type(self).__name__} is a dataset by index: it needs __len__")

    def __getitem__(self, index: int, /) -> T_co:
        """Return sample `index`, 0 … len - 1."""
        raise NotImplementedError(f"{type(self).__name__} is a dataset by index: it needs __getitem__")


class IterableDataset(Protocol[T_co]):
    """Samples as a stream, where there is no index to ask by: anything with `__iter__` and no `__getitem__`.

    Each worker process iterates a stream of its own. `shard` leaves each of them its part; without it, every sample
    comes once from every worker.

    Example:
        >>> class Lines(IterableDataset[str]):
        ...     def __iter__(self) -> Iterator[str]:
        ...         return iter(["to be", "or not"])
        >>> list(Lines())
        ['to be', 'or not']
    """

    def __iter__(self) -> Iterator[T_co]:
        """Return an iterator from the first sample on."""
        raise NotImplementedError(f"{type(self).__name__} is a dataset by iteration: it needs __iter__")


def is_stream(dataset: object) -> bool:
    """Return whether a dataset can only be iterated.

    Raises:
        TypeError: it can be neither iterated nor asked by index.

    Example:
        >>> is_stream([1, 2]), is_stream({1, 2})
        (False, True)
    """
    if hasattr(dataset, "__getitem__"):
        return False
    if hasattr(dataset, "__iter__"):
        return True
    raise TypeError(
        f"expected a dataset with __len__ and __getitem__ (by index) or with __iter__ (a stream), found "
        f"{type(dataset).__name__}"
    )


class ArrayDataset(Dataset[tuple[Any, ...]]):
    """Arrays of one length N, sample i being the i-th row of each: memory-mapped files too, read where asked.

    Args:
        arrays: NumPy arrays [N, …].
        transform: applied to each sample (a tuple), for instance to scale or augment it.

    Raises:
        ShapeError: lengths that differ, or an array without dimensions.

    Example:
        >>> pairs = ArrayDataset(np.eye(3), np.array([7, 8, 9]))
        >>> image, label = pairs[1]
        >>> image.tolist(), int(label), len(pairs)
        ([0.0, 1.0, 0.0], 8, 3)
    """

    def __init__(self, *arrays: Array, transform: Callable[..., Any] | None = None) -> None:
        self.arrays = arrays
        self.transform = transform
        self._length = _common_length("ArrayDataset", arrays)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> Any:
        sample = tuple([array[index] for array in self.arrays])
        return self.transform(sample) if self.transform else sample

    @property
    def fetch_batch(self) -> Callable[[list[int]], tuple[Array, ...]] | None:
        """The rows of a list of indices, one array [B, …] for each; None with a transform, which is for one sample."""
        return None if self.transform else self._rows

    def _rows(self, indices: list[int]) -> tuple[Array, ...]:
        return tuple([array[indices] for array in self.arrays])


class TensorDataset(Dataset[tuple[Tensor, ...]]):
    """Tensors of one length N, sample i being the i-th row of each.

    Args:
        tensors: tensors [N, …].

    Raises:
        ShapeError: lengths that differ, or a tensor without dimensions.

    Example:
        >>> from groundup.engine import arange
        >>> x, y = TensorDataset(arange(6).reshape(3, 2), arange(3))[2]
        >>> x, y
        (tensor([4, 5]), tensor(2))
    """

    def __init__(self, *tensors: Tensor) -> None:
        self.tensors = tensors
        self._arrays = [tensor.data for tensor in tensors]
        self._length = _common_length("TensorDataset", self._arrays)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> tuple[Tensor, ...]:
        return tuple([Tensor(array[index]) for array in self._arrays])

    def fetch_batch(self, indices: list[int]) -> tuple[Tensor, ...]:
        """Return the rows of `indices`, one tensor [B, …] for each."""
        return tuple([Tensor(array[indices]) for array in self._arrays])


class Subset(Dataset[T_co]):
    """Some samples of a dataset, in a given order.

    Args:
        dataset: by index.
        indices: which of its samples.

    Raises:
        IndexError: an index that the dataset does not have.

    Example:
        >>> list(Subset("abcdef", [4, 0]))
        ['e', 'a']
    """

    def __init__(self, dataset: Dataset[T_co], indices: Sequence[int]) -> None:
        self.dataset = dataset
        self.indices = np.asarray(indices, dtype=np.int64)
        n = len(dataset)
        if self.indices.size and not (-n <= self.indices.min() and self.indices.max() < n):
            raise IndexError(f"Subset: expected indices below {n}, found {self.indices.min()} … {self.indices.max()}")

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> T_co:
        return self.dataset[int(self.indices[index])]

    @property
    def fetch_batch(self) -> Callable[[list[int]], Any] | None:
        """As fast as the dataset that this is a part of: None if it has no `fetch_batch`."""
        return self._translated(getattr(self.dataset, "fetch_batch", None))

    @property
    def __getitems__(self) -> Callable[[list[int]], Any] | None:
        """The samples of a list of indices, if the dataset can give them at once."""
        return self._translated(getattr(self.dataset, "__getitems__", None))

    def _translated(self, method: Callable[[list[int]], Any] | None) -> Callable[[list[int]], Any] | None:
        return method and (lambda indices: method(self.indices[indices].tolist()))


def random_split(dataset: Dataset[T_co], lengths: Sequence[float], *, seed: int = 0) -> list[Subset[T_co]]:
    """Split a dataset at random into parts that share no sample and leave none out.

    Args:
        dataset: by index.
        lengths: of each part; or fractions that sum to 1, where what rounding leaves over goes to the first parts.
        seed: the same one gives the same split.

    Raises:
        ValueError: lengths that do not sum to the length of the dataset.

    Example:
        >>> train, validation = random_split(range(10), [0.8, 0.2], seed=1)
        >>> sorted([*train, *validation]) == list(range(10)), len(validation)
        (True, 2)
    """
    n = len(dataset)
    sizes = [int(length) for length in lengths]
    if any(isinstance(length, float) for length in lengths) and abs(sum(lengths) - 1) < 1e-6:
        sizes = [int(n * fraction) for fraction in lengths]
        for part in range(n - sum(sizes)):
            sizes[part % len(sizes)] += 1
    if sum(sizes) != n or min(sizes, default=0) < 0:
        raise ValueError(
            f"random_split: expected lengths that sum to the {n} samples of the dataset, or fractions that sum to 1, "
            f"found {list(lengths)}, which sum to {sum(lengths):g}"
        )
    order = np.random.default_rng(seed).permutation(n)
    ends = np.cumsum(sizes)
    return [Subset(dataset, order[end - size : end].tolist()) for size, end in zip(sizes, ends, strict=True)]


def _common_length(name: str, arrays: Sequence[Array]) -> int:
    if not all(isinstance(array, np.ndarray | np.generic) for array in arrays):
        raise DTypeError(f"{name}: expected arrays, found {', '.join(type(array).__name__ for array in arrays)}")
    shapes = [array.shape for array in arrays]
    if not arrays or any(not shape for shape in shapes) or len({shape[0] for shape in shapes}) > 1:
        raise ShapeError(
            f"{name}: expected one or more arrays with the same first dimension, the number of samples, found "
            f"{', '.join(map(str, shapes)) or 'none'}"
        )
    return int(shapes[0][0])
