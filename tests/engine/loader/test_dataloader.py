"""The loader: the same batches with any number of workers, every sample once an epoch, and settings that contradict."""

import numpy as np
import pytest
import torch.utils.data as theirs
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.engine import Generator, manual_seed
from groundup.engine.errors import ShapeError
from groundup.engine.loader import (
    ArrayDataset,
    BatchSampler,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    sample_generator,
    shard,
)


class Noisy(Dataset[tuple]):
    """Sample i is i and a number drawn for it."""

    def __init__(self, n):
        self.n = n

    def __len__(self):
        return self.n

    def __getitem__(self, index):
        return {"index": index, "noise": sample_generator(index).random(3)}


class Stream(IterableDataset[int]):
    def __init__(self, n, *, divided=True):
        self.n, self.divided = n, divided

    def __iter__(self):
        return shard(range(self.n)) if self.divided else iter(range(self.n))


def seen(loader):
    return [(batch["index"].tolist(), batch["noise"].tolist()) for batch in loader]


@settings(deadline=None, max_examples=40, derandomize=True)
@given(n=st.integers(0, 40), batch_size=st.integers(1, 15), drop_last=st.booleans(), shuffle=st.booleans())
def test_every_index_once_in_batches_of_torch_s_sizes(n, batch_size, drop_last, shuffle):
    loader = DataLoader(list(range(n)), batch_size, shuffle, drop_last=drop_last, seed=1)
    reference = theirs.DataLoader(list(range(n)), batch_size, drop_last=drop_last)
    batches = [batch.tolist() for batch in loader]
    expected = [batch.tolist() for batch in reference]
    assert list(map(len, batches)) == list(map(len, expected))
    assert len(loader) == len(reference) == len(batches)
    indices = [index for batch in batches for index in batch]
    assert len(set(indices)) == len(indices)
    assert set(indices) <= set(range(n))
    if not shuffle:
        assert batches == expected


def test_batches_do_not_depend_on_the_workers():
    epochs = {}
    for n_workers in (0, 1, 3):
        loader = DataLoader(Noisy(23), 4, True, num_workers=n_workers, persistent_workers=n_workers == 3, seed=5)
        epochs[n_workers] = [seen(loader) for _ in range(2)]
    assert epochs[0] == epochs[1] == epochs[3]
    first, second = epochs[0]
    assert [i for batch in first for i in batch[0]] != [i for batch in second for i in batch[0]]
    noise = [{i: tuple(x) for indices, xs in epoch for i, x in zip(indices, xs, strict=True)} for epoch in epochs[0]]
    assert len(set(noise[0].values()) | set(noise[1].values())) == 46, "each sample, each epoch: numbers of its own"


def test_an_epoch_can_be_asked_for_again():
    loader = DataLoader(Noisy(9), 2, shuffle=True, seed=7)
    first, second, third = seen(loader), seen(loader), seen(loader)
    loader.set_epoch(1)
    assert [seen(loader), seen(loader)] == [second, third]
    assert first != second
    assert seen(DataLoader(Noisy(9), 2, shuffle=True, seed=8)) != first
    with pytest.raises(ValueError, match="expected an epoch >= 0, found -1"):
        loader.set_epoch(-1)


def test_two_loaders_by_turns_do_not_mix_their_seeds():
    alone = seen(DataLoader(Noisy(6), 2, seed=1))
    one, other = DataLoader(Noisy(6), 2, seed=1), DataLoader(Noisy(6), 2, seed=2)
    turns = [(seen([a])[0], seen([b])[0]) for a, b in zip(one, other, strict=True)]
    assert [a for a, _ in turns] == alone
    assert all(a[1] != b[1] for a, b in turns)


def test_the_seed_comes_from_the_engine_s_generator():
    def order(**settings):
        return [batch.tolist() for batch in DataLoader(range(20), 20, True, **settings)]

    manual_seed(3)
    first = order()
    assert order() != first
    manual_seed(3)
    assert order() == first
    assert order(generator=Generator(4)) == order(generator=Generator(4)) != first


@pytest.mark.parametrize("n_workers", [0, 1, 3])
@pytest.mark.parametrize("n", [0, 5, 16, 22])
def test_a_sharded_stream_gives_the_same_batches_with_any_number_of_workers(n, n_workers):
    loader = DataLoader(Stream(n), 4, num_workers=n_workers, prefetch_factor=3)
    for _ in range(2):
        assert [batch.tolist() for batch in loader] == [list(range(n))[i : i + 4] for i in range(0, n, 4)]


def test_a_stream_that_is_not_sharded_comes_from_every_worker():
    batches = [batch.tolist() for batch in DataLoader(Stream(5, divided=False), 2, num_workers=2)]
    assert sorted(sample for batch in batches for sample in batch) == sorted([*range(5)] * 2)
    dropped = [batch.tolist() for batch in DataLoader(Stream(5, divided=False), 2, drop_last=True)]
    assert dropped == [[0, 1], [2, 3]]


def test_the_length_of_a_stream():
    with pytest.raises(TypeError, match="the stream Stream has no __len__, so neither has this"):
        len(DataLoader(Stream(5)))
    assert list(DataLoader(iter(["a", "b", "c"]), batch_size=2)) == [["a", "b"], ["c"]]
    assert len(DataLoader({1, 2, 3}, batch_size=2)) == 2
    assert len(DataLoader({1, 2, 3}, batch_size=2, drop_last=True)) == 1


@pytest.mark.parametrize("n_workers", [0, 2])
def test_batches_that_the_dataset_makes(n_workers):
    """batch_size=None: a sampler of whole batches, one indexing for each."""
    pairs = ArrayDataset(np.arange(12).reshape(6, 2), np.arange(6))
    sampler = BatchSampler(RandomSampler(pairs, seed=2), 4)
    loader = DataLoader(pairs, None, sampler=sampler, num_workers=n_workers)
    batches = list(loader)
    assert [x.shape for x, _ in batches] == [(4, 2), (2, 2)]
    assert sorted(i for _, y in batches for i in y.tolist()) == list(range(6))
    assert len(loader) == 2
    assert list(DataLoader(Stream(2), None, num_workers=n_workers)) == [0, 1]


class Remembering:
    def __init__(self, methods):
        self.asked = []
        for name in methods:
            setattr(self, name, getattr(self, "_" + name.strip("_")))

    def __len__(self):
        return 4

    def __getitem__(self, index):
        self.asked.append("one")
        return index

    def _getitems(self, indices):
        self.asked.append("samples")
        return list(indices)

    def _fetch_batch(self, indices):
        self.asked.append("batch")
        return np.array(indices)


@pytest.mark.parametrize(
    ("methods", "collate_fn", "asked"),
    [
        ([], None, ["one"] * 4),
        (["__getitems__"], None, ["samples"] * 2),
        (["__getitems__", "fetch_batch"], None, ["batch"] * 2),
        (["__getitems__", "fetch_batch"], np.array, ["samples"] * 2),
        (["fetch_batch"], np.array, ["one"] * 4),
    ],
)
def test_which_way_a_batch_is_fetched(methods, collate_fn, asked):
    dataset = Remembering(methods)
    assert [batch.tolist() for batch in DataLoader(dataset, 2, collate_fn=collate_fn)] == [[0, 1], [2, 3]]
    assert dataset.asked == asked


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch_size": 0}, "expected batch_size to be a number >= 1, found 0"),
        ({"batch_size": 2.0}, "expected batch_size to be a number >= 1, found 2.0"),
        ({"num_workers": -1}, "expected num_workers to be a number >= 0, found -1"),
        ({"prefetch_factor": 0}, "expected prefetch_factor to be a number >= 1, found 0"),
        ({"timeout": -1}, "expected timeout to be a number >= 0, found -1"),
        ({"shuffle": True, "sampler": [1]}, "sampler and shuffle both decide the order"),
        ({"batch_size": 2, "batch_sampler": [[1]]}, "batch_sampler decides batch_size, shuffle"),
        ({"drop_last": True, "batch_sampler": [[1]]}, "batch_sampler decides batch_size, shuffle"),
        ({"drop_last": True, "batch_size": None}, "drop_last is about batches made here"),
        ({"multiprocessing_context": "thread"}, "expected multiprocessing_context to be one of .*, found 'thread'"),
    ],
)
def test_settings_that_cannot_be(settings, message):
    with pytest.raises(ValueError, match=message):
        DataLoader(range(4), **settings)
    with pytest.raises(ValueError, match=r"a stream .* has its own order"):
        DataLoader(Stream(3), shuffle=True)


class Ragged(Noisy):
    def __getitem__(self, index):
        if index == 5:
            raise KeyError("no such file")
        return np.zeros(index // 3)


def test_errors_say_where():
    loader = DataLoader(Ragged(9), 2)
    batches = iter(loader)
    next(batches)
    with pytest.raises(ShapeError, match=r"\(0,\) in sample 0, \(1,\) in sample 1") as found:
        next(batches)
    assert found.value.__notes__ == ["raised while the samples of indices [2, 3] were collated"]
    with pytest.raises(KeyError, match="no such file") as missing:
        list(DataLoader(Ragged(9), 3, sampler=[3, 4, 5]))
    assert missing.value.__notes__ == ["raised by dataset[5], sample 2 of its batch"]
    with pytest.raises(KeyError) as missing:
        list(DataLoader(Ragged(9), None, sampler=[5]))
    assert missing.value.__notes__ == ["raised by dataset[5]"]
    with pytest.raises(IndexError) as outside:
        list(DataLoader(ArrayDataset(np.zeros(3)), 2, sampler=[2, 3]))
    assert outside.value.__notes__ == ["raised for the batch of indices [2, 3]"]


def test_a_stop_iteration_does_not_end_the_epoch_in_silence():
    class Stopping(Noisy):
        def __getitem__(self, index):
            return next(iter([]))

    with pytest.raises(RuntimeError, match="StopIteration where a sample was expected"):
        list(DataLoader(Stopping(3)))
