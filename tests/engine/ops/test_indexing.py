import math

import numpy as np
import pytest
import torch

from groundup.engine.errors import DTypeError, ShapeError
from groundup.engine.ops import indexing
from groundup.engine.ops.scatter import add_rows

A = np.arange(60.0).reshape(3, 4, 5)


@pytest.mark.parametrize("key", [0, -1, slice(1, None), (..., 2), (None, 1, slice(None, None, -2)), (2, 3, 4)])
def test_a_key_without_arrays_gives_a_view_as_numpy_does(key):
    y, (rule,) = indexing.index(A, key=key)
    assert np.shares_memory(y, A)
    assert np.array_equal(y, A[key])
    expected = np.zeros_like(A)
    expected[key] = 7
    assert np.array_equal(rule(np.full_like(y, 7)), expected)


@pytest.mark.parametrize("key", [True, False, [0, 2], [True, False, True], np.int64(1), np.array(1)])
def test_lists_and_single_booleans_are_arrays(key):
    theirs = torch.from_numpy(A)[torch.tensor(key) if isinstance(key, list) else key]
    assert np.array_equal(indexing.index(A, key=key)[0], theirs.numpy())


def test_a_number_between_arrays_is_read_first_as_in_torch():
    """NumPy gives [2, 4] here: it counts the 0 among the arrays, and they are not neighbours."""
    key = (0, slice(None), np.array([1, 2]))
    y, _ = indexing.index(A, key=key)
    assert y.shape == (4, 2)
    assert np.array_equal(y, torch.from_numpy(A)[0, :, torch.tensor([1, 2])].numpy())


def test_the_value_and_gradient_of_nothing_chosen():
    y, (rule,) = indexing.index(A, key=[])
    assert y.shape == (0, 4, 5)
    assert not rule(y).any()


@pytest.mark.parametrize(
    ("key", "kind", "said"),
    [
        (3, IndexError, r"index: 3 is out of range for dimension 0 of \[3, 4, 5\], which has 3: -3 to 2"),
        ((0, -5), IndexError, r"-5 is out of range for dimension 1 of \[3, 4, 5\], which has 4: -4 to 3"),
        (np.array([0, 7]), IndexError, r"7 is out of range for dimension 0 of \[3, 4, 5\]"),
        ((slice(0, 0), slice(None), 0, 0), ShapeError, r"index: 4 indices and 0 ellipses"),
        ((..., ...), ShapeError, "2 ellipses"),
        ((np.array([0, 1]), np.array([0, 1, 2])), ShapeError, r"arrays of \[2\] and \[3\] do not broadcast"),
        (np.array([True, False]), ShapeError, r"a mask of \[2\] does not fit \[3, 4, 5\] .*; it must be \[3\]"),
        (np.array([0.5]), DTypeError, "an array of float64 cannot index"),
        (1.0, DTypeError, "1.0 cannot index"),
        ("a", DTypeError, "'a' cannot index"),
    ],
)
def test_a_key_that_does_not_fit_is_refused(key, kind, said):
    with pytest.raises(kind, match=said):
        indexing.index(A, key=key)


def test_a_number_for_an_empty_dimension_is_refused():
    with pytest.raises(IndexError, match=r"0 is out of range for dimension 0 of \[0, 2\], which is empty"):
        indexing.index(np.zeros((0, 2)), key=0)


@pytest.mark.parametrize("n_places", [1, 7, 500])
@pytest.mark.parametrize("R", [1, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_add_rows_is_np_add_at(n_places, R, dtype):
    generator = np.random.default_rng(0)
    ids, rows = generator.integers(0, n_places, 200), generator.standard_normal((200, R)).astype(dtype)
    expected = np.zeros((n_places, R), dtype)
    np.add.at(expected, ids, rows)
    ours = add_rows(ids, rows, n_places)
    assert ours.dtype == dtype
    # Up to 200 numbers near 1 are added in another order.
    np.testing.assert_allclose(ours, expected, rtol=0, atol=200 * np.finfo(dtype).eps)


def test_add_rows_keeps_infinities_to_their_own_places():
    """A product with a one-hot matrix would make NaN of all the others, for 0 · inf is NaN."""
    rows = np.array([[np.inf, 1.0], [2.0, np.nan], [3.0, 4.0]])
    assert add_rows(np.array([1, 0, 1]), rows, 3).tolist()[1:] == [[np.inf, 5.0], [0.0, 0.0]]


def test_embedding_gives_the_row_of_padding_no_gradient():
    weight, ids = A[0], np.array([[0, 1], [1, 3]])
    _, (rule,) = indexing.embedding(weight, ids=ids, padding_idx=1)
    assert rule(np.ones((2, 2, 5)))[:, 0].tolist() == [1, 0, 0, 1]


@pytest.mark.parametrize("id", [-1, 4])
def test_an_id_out_of_range_is_named_with_the_bound(id):
    with pytest.raises(IndexError, match=f"embedding: {id} is out of range for a table of 4 rows: 0 to 3"):
        indexing.embedding(A[0], ids=np.array([0, id]))
    with pytest.raises(IndexError, match=rf"gather: {id} is out of range for dimension 0 of \[4, 5\]: 0 to 3"):
        indexing.gather(A[0], dim=0, index=np.array([[id]]))


def test_what_embedding_and_gather_cannot_use_is_refused():
    with pytest.raises(DTypeError, match="embedding: indices are float64; they must be whole numbers"):
        indexing.embedding(A[0], ids=np.array([1.0]))
    with pytest.raises(ShapeError, match=r"embedding: weight must be \[V, D\]"):
        indexing.embedding(A, ids=np.array([1]))
    with pytest.raises(DTypeError, match="gather: indices are bool"):
        indexing.gather(A[0], dim=0, index=np.array([[True]]))
    with pytest.raises(ShapeError, match=r"gather: an index of \[1, 6\] does not fit \[4, 5\]"):
        indexing.gather(A[0], dim=0, index=np.zeros((1, 6), int))
    with pytest.raises(ShapeError, match=r"gather: an index of \[1\] does not fit"):
        indexing.gather(A[0], dim=0, index=np.zeros(1, int))


def test_masked_fill_with_minus_infinity_for_a_softmax():
    y, (rule,) = indexing.masked_fill(A[0], mask=A[0] > 9, value=-math.inf)
    assert np.array_equal(y, torch.from_numpy(A[0]).masked_fill(torch.from_numpy(A[0]) > 9, -math.inf).numpy())
    assert np.array_equal(rule(np.full((4, 5), 2.0)), np.where(A[0] > 9, 0.0, 2.0))


def test_nan_on_the_side_not_taken_stays_out_of_value_and_gradient():
    a, b = np.array([1.0, math.nan]), np.array([math.nan, 2.0])
    y, (rule_a, rule_b) = indexing.where(a, b, condition=np.array([True, False]))
    assert y.tolist() == [1.0, 2.0]
    assert rule_a(np.array([1.0, math.nan])).tolist() == [1.0, 0.0]
    assert rule_b(np.array([math.nan, 1.0])).tolist() == [0.0, 1.0]


def test_what_where_and_masked_fill_cannot_use_is_refused():
    with pytest.raises(DTypeError, match="where: the condition is int64; it must be of booleans"):
        indexing.where(A, A, condition=np.array([1]))
    with pytest.raises(ShapeError, match=r"where: shapes \[2\] and \[3, 4, 5\] and \[3\] do not broadcast"):
        indexing.where(A, A[:, 0, 0], condition=np.array([True, False]))
    with pytest.raises(ShapeError, match=r"masked_fill: shapes \[3, 4, 5\] and \[2\] do not broadcast"):
        indexing.masked_fill(A, mask=np.array([True, False]), value=0.0)
    with pytest.raises(DTypeError, match="masked_fill: the condition is float64"):
        indexing.masked_fill(A, mask=A, value=0.0)
    with pytest.raises(DTypeError, match="masked_fill: int64 cannot hold -inf"):
        indexing.masked_fill(np.array([1]), mask=np.array([True]), value=-math.inf)
