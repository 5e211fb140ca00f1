import numpy as np
import pytest

from groundup.engine.errors import ShapeError
from groundup.engine.ops import movement

A = np.arange(24.0).reshape(2, 3, 4)


@pytest.mark.parametrize(
    ("op", "settings"),
    [
        (movement.reshape, {"shape": (4, 6)}),
        (movement.view, {"shape": (4, -1)}),
        (movement.permute, {"dims": (2, 0, 1)}),
        (movement.transpose, {"dim0": 0, "dim1": 2}),
        (movement.expand, {"shape": (5, 2, 3, 4)}),
        (movement.squeeze, {}),
        (movement.unsqueeze, {"dim": 1}),
        (movement.flip, {"dims": (0, 2)}),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_nothing_is_copied(op, settings):
    assert np.shares_memory(op(A, **settings)[0], A)


def test_a_padded_array_is_a_copy_even_without_padding():
    y, _ = movement.pad(A, pad=(0, 0))
    assert not np.shares_memory(y, A)


def test_reshape_of_rows_that_are_apart_copies_and_view_refuses():
    apart = A.transpose(0, 2, 1)
    assert movement.reshape(apart, shape=(24,))[0].tolist() == apart.flatten().tolist()
    with pytest.raises(ShapeError, match=r"view: \[2, 4, 3\] as \[24\] is not one run of memory; use reshape"):
        movement.view(apart, shape=(24,))


@pytest.mark.parametrize(
    ("op", "settings", "said"),
    [
        (movement.reshape, {"shape": (5, 5)}, r"reshape: \[2, 3, 4\] holds 24 numbers, and \[5, 5\] would hold 25"),
        (movement.reshape, {"shape": (5, -1)}, r"what is left for the -1 in \[5, -1\] is 24 / 5"),
        (movement.reshape, {"shape": (-1, -1)}, r"\[-1, -1\] is no shape: .* one of them may be -1"),
        (movement.reshape, {"shape": (-2, 12)}, r"\[-2, 12\] is no shape"),
        (movement.reshape, {"shape": (2.0, 12)}, r"is no shape: give whole numbers"),
        (movement.permute, {"dims": (0, 1)}, r"permute: dims \[0, 1\] must name each of the 3 dimensions .* once"),
        (movement.permute, {"dims": (0, 1, 1)}, r"permute: dims \[0, 1, 1\] must name each"),
        (movement.permute, {"dims": (0, 1, 3)}, r"permute: there is no dimension 3 .*: give one from -3 to 2"),
        (movement.transpose, {"dim0": 0, "dim1": -4}, "transpose: there is no dimension -4"),
        (movement.expand, {"shape": (2, 3, 5)}, r"expand: \[2, 3, 4\] cannot become \[2, 3, 5\]: only sizes of 1 may"),
        (movement.expand, {"shape": (3, 4)}, r"expand: \[2, 3, 4\] cannot become \[3, 4\]"),
        (movement.expand, {"shape": (-1, 2, 3, 4)}, "-1 keeps the size of a dimension that was there"),
        (movement.squeeze, {"dim": 3}, "squeeze: there is no dimension 3"),
        (movement.unsqueeze, {"dim": 4}, "unsqueeze: there is no dimension 4 .*: give one from -4 to 3"),
        (movement.pad, {"pad": (1, 1, 1)}, r"pad: \[1, 1, 1\] must be pairs \(before, after\)"),
        (movement.pad, {"pad": (0,) * 8}, r"at most 3 for \[2, 3, 4\]"),
        (movement.pad, {"pad": (-3, -2)}, r"pad: \[-3, -2\] crops more than \[2, 3, 4\] has"),
        (movement.pad, {"pad": (-5, 5)}, r"pad: \[-5, 5\] crops more"),
        (movement.flip, {"dims": (0, 3)}, "flip: there is no dimension 3"),
        (movement.flip, {"dims": 1.5}, "whole number, not 1.5"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(op, settings, said):
    with pytest.raises(ShapeError, match=said) as refused:
        op(A, **settings)
    assert "\n" not in str(refused.value)
