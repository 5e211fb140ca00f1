"""Datasets and their parts: the same samples, by one index or by many, and what a wrong one is told."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.engine import Tensor, arange
from groundup.engine.errors import DTypeError, ShapeError
from groundup.engine.loader import (
    ArrayDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    Subset,
    TensorDataset,
    random_split,
)
from groundup.engine.loader.dataset import is_stream

X = np.arange(24, dtype=np.float32).reshape(6, 4)
Y = np.arange(6)


@pytest.mark.parametrize("dataset", [ArrayDataset(X, Y), TensorDataset(Tensor(X), Tensor(Y))], ids=["array", "tensor"])
def test_many_at_once_are_the_same_as_one_by_one(dataset):
    indices = [5, 0, 0, 3]
    x, y = dataset.fetch_batch(indices)
    for row, index in enumerate(indices):
        one_x, one_y = dataset[index]
        assert np.array_equal(np.asarray(getattr(one_x, "data", one_x)), X[index])
        assert np.asarray(getattr(x, "data", x))[row].tolist() == X[index].tolist()
        assert int(np.asarray(getattr(y, "data", y))[row]) == int(np.asarray(getattr(one_y, "data", one_y)))
    assert len(dataset) == 6


def test_a_transform_sees_single_samples():
    dataset = ArrayDataset(X, Y, transform=lambda sample: (sample[0] * 2, sample[1]))
    assert dataset.fetch_batch is None
    assert dataset[1][0].tolist() == (X[1] * 2).tolist()
    x, y = next(iter(DataLoader(dataset, batch_size=3)))
    assert np.array_equal(x.data, X[:3] * 2)
    assert y.tolist() == [0, 1, 2]


@settings(deadline=None, max_examples=30, derandomize=True)
@given(n=st.integers(1, 40), data=st.data())
def test_a_split_shares_and_loses_nothing(n, data):
    first = data.draw(st.integers(0, n))
    parts = random_split(range(n), [first, n - first], seed=data.draw(st.integers(-5, 2**40)) & (2**40 - 1))
    assert [len(part) for part in parts] == [first, n - first]
    assert sorted([*parts[0], *parts[1]]) == list(range(n))


@pytest.mark.parametrize("n", [103, 1, 0])
@pytest.mark.parametrize("fractions", [[0.85, 0.15], [0.5, 0.5], [1 / 3, 1 / 3, 1 / 3], [1.0]])
@pytest.mark.filterwarnings("ignore:Length of split:UserWarning")  # torch's
def test_fractions_split_as_torch_rounds_them(n, fractions):
    import torch

    theirs = torch.utils.data.random_split(range(n), fractions)
    assert [len(part) for part in random_split(range(n), fractions)] == [len(part) for part in theirs]


def test_a_split_repeats_with_its_seed():
    first, again, other = (random_split(range(50), [0.5, 0.5], seed=seed)[0] for seed in (1, 1, 2))
    assert list(first) == list(again) != list(other)


def test_a_subset_is_as_fast_as_its_whole():
    part = Subset(Subset(ArrayDataset(X, Y), [4, 3, 2]), [2, 0])
    x, y = part.fetch_batch([1, 0])
    assert y.tolist() == [4, 2]
    assert np.array_equal(x, X[[4, 2]])
    assert Subset([1, 2], [0]).fetch_batch is None


@pytest.mark.parametrize("lengths", [[3, 4], [0.5, 0.6], [-1, 9], []])
def test_lengths_that_do_not_sum(lengths):
    with pytest.raises(ValueError, match=r"random_split: expected lengths that sum to the 8 samples"):
        random_split(range(8), lengths)


def test_indices_that_are_not_there():
    with pytest.raises(IndexError, match=r"Subset: expected indices below 6, found 0 … 6"):
        Subset(ArrayDataset(X, Y), [0, 6])


@pytest.mark.parametrize("arrays", [(), (X, Y[:5]), (np.float32(1),)])
def test_arrays_of_unequal_length(arrays):
    with pytest.raises(ShapeError, match=r"ArrayDataset: expected one or more arrays with the same first dimension"):
        ArrayDataset(*arrays)
    if all(isinstance(array, np.ndarray) for array in arrays):
        with pytest.raises(ShapeError, match="TensorDataset"):
            TensorDataset(*map(Tensor, arrays))


class Unfinished(Dataset[int]):
    pass


class UnfinishedStream(IterableDataset[int]):
    pass


class Endless:
    def __getitem__(self, index):
        return index


def test_what_a_dataset_lacks():
    with pytest.raises(NotImplementedError, match="Unfinished is a dataset by index: it needs __len__"):
        len(Unfinished())
    with pytest.raises(NotImplementedError, match="it needs __getitem__"):
        Unfinished()[0]
    with pytest.raises(NotImplementedError, match="UnfinishedStream is a dataset by iteration: it needs __iter__"):
        iter(UnfinishedStream())
    with pytest.raises(TypeError, match=r"expected a dataset with __len__ and __getitem__ .* found int"):
        DataLoader(3)
    with pytest.raises(TypeError, match="DataLoader: Endless has no __len__; write it, or give a sampler"):
        DataLoader(Endless())
    assert next(iter(DataLoader(Endless(), sampler=[5]))).tolist() == [5]
    with pytest.raises(DTypeError, match="ArrayDataset: expected arrays, found list"):
        ArrayDataset([1, 2])


def test_kinds_of_dataset():
    assert [is_stream(one) for one in ([1], "ab", range(3), arange(3), Unfinished())] == [False] * 5
    assert [is_stream(one) for one in (iter([1]), {1}, UnfinishedStream())] == [True] * 3
