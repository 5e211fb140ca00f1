"""Fetching: from the indices of a batch to the batch, in whichever process does it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from groundup.engine.loader.collate import default_collate, default_convert
from groundup.engine.loader.dataset import is_stream

END: Final = object()
"""What a fetch gives instead of a batch when a stream has no more samples."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How batches are made: all that a worker process is given."""

    dataset: Any
    collate_fn: Callable[[list[Any]], Any] | None
    batch_size: int | None
    """None: what the dataset gives for one key is a batch already."""
    drop_last: bool
    seed: int
    worker_init_fn: Callable[[int], object] | None


def start_fetching(recipe: Recipe) -> Callable[[Any], Any]:
    """Return the function from the indices of a batch to the batch, at the begin of an epoch.

    For a stream the argument is not looked at: it gives one batch after the other, and then END.

    Example:
        >>> recipe = Recipe(dataset=[10, 20, 30], collate_fn=None, batch_size=2, drop_last=False, seed=0,
        ...                 worker_init_fn=None)
        >>> start_fetching(recipe)([2, 0])
        tensor([30, 10])
    """
    if is_stream(recipe.dataset):
        return _stream(recipe)
    dataset = recipe.dataset
    if recipe.batch_size is None:
        finish = recipe.collate_fn or default_convert
        return lambda key: finish(_sample(dataset, key))
    if recipe.collate_fn is None and (fetch_batch := getattr(dataset, "fetch_batch", None)):
        return lambda indices: default_convert(_at_once(fetch_batch, indices))
    join = recipe.collate_fn or default_collate
    if getitems := getattr(dataset, "__getitems__", None):
        return lambda indices: _joined(join, _at_once(getitems, indices), indices)
    return lambda indices: _joined(join, _samples(dataset, indices), indices)


def shortened(indices: Any) -> str:
    """Return indices as text of at most a line.

    Example:
        >>> shortened(list(range(100)))
        '[0, 1, 2, 3, 4, 5, … 99] (100 of them)'
    """
    if not isinstance(indices, list) or len(indices) <= 8:
        return str(indices)[:200]
    return f"[{', '.join(map(str, indices[:6]))}, … {indices[-1]}] ({len(indices)} of them)"


def _samples(dataset: Any, indices: list[int]) -> list[Any]:
    samples: list[Any] = []  # grown one by one, so that its length says which one failed
    with _Saying(lambda: f"raised by dataset[{indices[len(samples)]}], sample {len(samples)} of its batch"):
        for index in indices:
            samples.append(dataset[index])
    return samples


def _sample(dataset: Any, key: Any) -> Any:
    with _Saying(lambda: f"raised by dataset[{shortened(key)}]"):
        return dataset[key]


def _at_once(method: Callable[[list[int]], Any], indices: list[int]) -> Any:
    with _Saying(lambda: f"raised for the batch of indices {shortened(indices)}"):
        return method(indices)


def _joined(join: Callable[[list[Any]], Any], samples: list[Any], indices: list[int]) -> Any:
    with _Saying(lambda: f"raised while the samples of indices {shortened(indices)} were collated"):
        return join(samples)


def _stream(recipe: Recipe) -> Callable[[Any], Any]:
    samples: Iterator[Any] = iter(recipe.dataset)
    size = recipe.batch_size
    finish: Callable[[Any], Any] = recipe.collate_fn or (default_convert if size is None else default_collate)
    taken = 0

    def fetch(_: Any) -> Any:
        nonlocal taken
        with _Saying(lambda: f"raised after {taken} batches of the stream {type(recipe.dataset).__name__}"):
            batch = list(islice(samples, size or 1))
            if not batch or (size is not None and len(batch) < size and recipe.drop_last):
                return END
            taken += 1
            return finish(batch[0] if size is None else batch)

    return fetch


class _Saying:
    """Adds to an error inside the block a line that says where; made only then."""

    __slots__ = ("note",)

    def __init__(self, note: Callable[[], str]) -> None:
        self.note = note

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if error is None:
            return
        error.add_note(self.note())
        if isinstance(error, StopIteration):  # on its own it would end the caller's loop as if all were well
            raise RuntimeError("the dataset raised StopIteration where a sample was expected") from error
