"""Collating: what torch makes of the same samples, and errors that name the field, the sample and the shapes."""

from collections import OrderedDict, namedtuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch.utils.data import default_collate as theirs

from groundup.engine import Tensor, tensor
from groundup.engine.errors import DTypeError, ShapeError
from groundup.engine.loader import default_collate
from groundup.engine.loader.collate import default_convert

Point = namedtuple("Point", "x y")


def same(ours, reference):
    if isinstance(ours, Tensor):
        assert isinstance(reference, torch.Tensor)
        assert ours.shape == tuple(reference.shape)
        assert np.array_equal(ours.data, reference.numpy())
    elif isinstance(ours, dict):
        assert list(ours) == list(reference)
        for key in ours:
            same(ours[key], reference[key])
    elif isinstance(ours, tuple | list):
        assert len(ours) == len(reference)
        for one, other in zip(ours, reference, strict=True):
            same(one, other)
    else:
        assert ours == reference


@settings(deadline=None, max_examples=40, derandomize=True)
@given(
    n=st.integers(1, 5),
    shape=hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
    dtype=st.sampled_from([np.float32, np.float64, np.int64, np.uint8, np.bool_]),
    fortran=st.booleans(),
)
def test_arrays_stack_as_torch_stacks_them(n, shape, dtype, fortran):
    numbers = np.random.default_rng(0)
    arrays = [np.array(numbers.integers(0, 2, shape), dtype=dtype, order="F" if fortran else "C") for _ in range(n)]
    ours = default_collate(arrays)
    same(ours, theirs(arrays))
    assert ours.dtype == dtype
    assert not any(np.shares_memory(ours.data, array) for array in arrays)


@pytest.mark.parametrize(
    "samples",
    [
        [1, 2, 3],
        [True, False],
        ["a", "b"],
        [b"a", b"b"],
        [(1, np.zeros(2)), (2, np.ones(2))],
        [{"x": 1, "deep": [np.zeros(2), "a"]}, {"deep": [np.ones(2), "b"], "x": 3}],
        [Point(1, 2), Point(3, 4)],
        [np.float32(1.5), np.float32(2)],
        [np.int64(1), np.int64(2)],
        [[1, 2], [3, 4]],
    ],
    ids=str,
)
def test_nests_are_torch_s(samples):
    same(default_collate(samples), theirs(samples))


def test_kinds_of_nest_stay():
    assert isinstance(default_collate([Point(1, 2.0)]), Point)
    assert isinstance(default_collate([(1,)]), tuple)
    assert isinstance(default_collate([[1]]), list)
    assert default_collate([OrderedDict(b=1, a=2)])["a"].tolist() == [2]


def test_dtypes_of_numbers():
    assert default_collate([1.0, 2]).dtype == np.float32
    assert default_collate([1, 2.5]).tolist() == [1, 2.5]
    assert default_collate([np.float64(1), np.float64(2)]).dtype == np.float64
    assert default_collate([1, 2]).dtype == np.int64
    assert default_collate([True]).dtype == np.bool_
    assert default_collate([tensor([1.0]), tensor([2.0])]).tolist() == [[1], [2]]


@pytest.mark.parametrize(
    ("samples", "kind", "message"),
    [
        ([np.zeros((2, 3)), np.zeros((2, 3)), np.zeros((3, 2))], ShapeError,
         r"sample cannot be stacked: \(2, 3\) in sample 0, \(3, 2\) in sample 2 .* collate_fn"),
        ([np.zeros((1, 3)), np.zeros(3)], ShapeError, r"\(1, 3\) in sample 0, \(3,\) in sample 1"),
        ([(0, {"a": np.zeros(1)}), (0, {"a": np.zeros(2)})], ShapeError, r"sample\[1\]\['a'\] cannot be stacked"),
        ([(0, Tensor([1.0])), (0, Tensor([1.0, 2.0]))], ShapeError, r"sample\[1\] cannot be stacked"),
        ([(1, 2), (1, 2, 3)], ShapeError, r"same lengths in every sample, found 2 in sample 0 and 3 in sample 1"),
        ([{"a": 1}, {"b": 1}], ShapeError, r"same keys in every sample, found \{'a'\} in sample 0 and \{'b'\}"),
        ([(0, None)], DTypeError, r"sample\[1\] is None: expected numbers, arrays, tensors"),
        ([object()], DTypeError, r"sample is a object: expected numbers"),
        ([1, None], DTypeError, r"found int in sample 0 and NoneType in sample 1"),
        ([np.zeros(2), Tensor([0.0])], DTypeError, r"found ndarray in sample 0 and Tensor in sample 1"),
        ([np.array(["a"])], DTypeError, r"sample has elements of type <U1"),
        ([], ShapeError, r"expected one or more samples, found none"),
    ],
)  # fmt: skip
def test_what_cannot_be_collated(samples, kind, message):
    with pytest.raises(kind, match=message):
        default_collate(samples)


def test_converting_keeps_the_memory():
    x = np.arange(3.0)
    batch = default_convert(Point({"x": x}, ["a", x]))
    assert isinstance(batch, Point)
    assert batch.x["x"].data is x
    assert batch.y[0] == "a"
    assert default_convert("text") == "text"
    assert default_convert(np.array(["a"])).dtype.kind == "U"
