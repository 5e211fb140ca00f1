"""Collating: a list of samples becomes one batch, field by field, with the batch as first dimension."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from groundup.engine.errors import DTypeError, ShapeError
from groundup.engine.ops.rules import Array
from groundup.engine.tensor import Tensor

_WAY_OUT = "give the DataLoader a collate_fn that makes the batch from the list of samples"


def default_collate(samples: Sequence[Any]) -> Any:
    """Return the batch of `samples`, which must be alike.

    - Tensors and arrays [*shape] become a tensor [B, *shape], of their dtype.
    - Numbers become a tensor [B]: floats float32, as everywhere in this engine (torch makes them float64 here only),
      ints int64, bools bool, NumPy's own numbers their dtype.
    - Tuples, named tuples, lists and mappings become the same of batches, one for each field. Strings stay a list.

    Raises:
        ShapeError: a field whose shapes differ from sample to sample, or that is not in every sample.
        DTypeError: a field that is none of these, or not of one kind in every sample.

    Example:
        >>> default_collate([([1.0, 2.0], 5), ([3.0, 4.0], 6)])
        ([tensor([1., 3.]), tensor([2., 4.])], tensor([5, 6]))
        >>> default_collate([{"x": np.zeros(2)}, {"x": np.zeros(3)}])
        Traceback (most recent call last):
        groundup.engine.errors.ShapeError: collate: sample['x'] cannot be stacked: (2,) in sample 0, (3,) in sample 1 \
of the batch; make them one shape in __getitem__ (crop, pad), or give the DataLoader a collate_fn that makes the batch \
from the list of samples
    """
    if not samples:
        raise ShapeError("collate: expected one or more samples, found none")
    return _collate(samples, "sample")


def default_convert(batch: Any) -> Any:
    """Return a batch that is one already with its arrays as tensors, on the same memory.

    Example:
        >>> default_convert({"x": np.arange(3), "name": "b"})
        {'x': tensor([0, 1, 2]), 'name': 'b'}
    """
    if isinstance(batch, np.ndarray) and batch.dtype.kind in "biuf":
        return Tensor(batch)
    if isinstance(batch, Mapping):
        return {key: default_convert(value) for key, value in batch.items()}
    if isinstance(batch, tuple | list):
        return _like(batch, [default_convert(field) for field in batch])
    return batch


def _collate(samples: Sequence[Any], where: str) -> Any:
    first = samples[0]
    kinds = set(map(type, samples))
    if len(kinds) > 1 and not all(issubclass(kind, int | float | np.number | np.bool_) for kind in kinds):
        odd = next(i for i, sample in enumerate(samples) if type(sample) is not type(first))
        raise DTypeError(
            f"collate: {where} must be of one kind, found {type(first).__name__} in sample 0 and "
            f"{type(samples[odd]).__name__} in sample {odd} of the batch; {_WAY_OUT}"
        )
    if isinstance(first, Tensor):
        return Tensor(_stack([sample.data for sample in samples], where))
    if isinstance(first, np.ndarray):
        return Tensor(_stack(samples, where))
    if isinstance(first, str | bytes):
        return list(samples)
    if isinstance(first, bool | int | float | np.generic):
        return Tensor(_numeric(_numbers(samples), where))
    if isinstance(first, Mapping):
        _same(where, [set(sample) for sample in samples], "keys")
        return {key: _collate([sample[key] for sample in samples], f"{where}[{key!r}]") for key in first}
    if isinstance(first, tuple | list):
        _same(where, list(map(len, samples)), "lengths")
        fields = zip(*samples, strict=True)
        return _like(first, [_collate(field, f"{where}[{i}]") for i, field in enumerate(fields)])
    raise DTypeError(
        f"collate: {where} is {_described(first)}: expected numbers, arrays, tensors, strings, or tuples, lists and "
        f"dicts of them; {_WAY_OUT}"
    )


def _stack(arrays: Sequence[Array], where: str) -> Array:
    """Stack arrays of one shape: [*shape] each -> [B, *shape]. np.array is faster than np.stack, and looks as well."""
    try:
        return _numeric(np.array(arrays), where)
    except ValueError:
        shapes = [array.shape for array in arrays]
        odd = next((i for i, shape in enumerate(shapes) if shape != shapes[0]), None)
        if odd is None:
            raise
    raise ShapeError(
        f"collate: {where} cannot be stacked: {shapes[0]} in sample 0, {shapes[odd]} in sample {odd} of the batch; "
        f"make them one shape in __getitem__ (crop, pad), or {_WAY_OUT}"
    )


def _numbers(samples: Sequence[Any]) -> Array:
    found = np.array(samples)
    python = all(type(sample) in (float, int, bool) for sample in samples) and found.dtype == np.float64
    return found.astype(np.float32) if python else found


def _numeric(array: Array, where: str) -> Array:
    if array.dtype.kind in "biuf":
        return array
    raise DTypeError(f"collate: {where} has elements of type {array.dtype}, expected numbers or bools; {_WAY_OUT}")


def _same(where: str, found: list[Any], what: str) -> None:
    for i, one in enumerate(found):
        if one != found[0]:
            raise ShapeError(
                f"collate: {where} must have the same {what} in every sample, found {found[0]} in sample 0 and {one} "
                f"in sample {i} of the batch; {_WAY_OUT}"
            )


def _like(original: Any, fields: list[Any]) -> Any:
    """Return fields in a tuple, a list or the named tuple that `original` is."""
    if hasattr(original, "_fields"):
        return type(original)(*fields)
    return tuple(fields) if isinstance(original, tuple) else fields


def _described(value: Any) -> str:
    return "None" if value is None else f"a {type(value).__name__}"
