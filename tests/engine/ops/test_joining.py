import numpy as np
import pytest

from groundup.engine.errors import DTypeError, ShapeError
from groundup.engine.ops import joining

A = np.ones((2, 3))


@pytest.mark.parametrize("op", [joining.concatenate, joining.stack])
def test_a_gradient_is_a_view_of_what_came(op):
    y, rules = op(A, A, dim=1)
    assert all(np.shares_memory(rule(y), y) for rule in rules)


@pytest.mark.parametrize(
    ("op", "arrays", "dim", "kind", "said"),
    [
        (joining.concatenate, (), 0, ShapeError, "concatenate: no tensors were given"),
        (joining.stack, (), 0, ShapeError, "stack: no tensors were given"),
        (joining.concatenate, (A, A.T), 0, ShapeError, r"\[3, 2\] does not fit \[2, 3\]; .* except in dimension 0"),
        (joining.concatenate, (A, A[0]), 0, ShapeError, r"concatenate: \[3\] does not fit \[2, 3\]"),
        (joining.concatenate, (A, A), 2, ShapeError, "concatenate: there is no dimension 2"),
        (joining.concatenate, (np.ones(()),), 0, ShapeError, "a single number has none"),
        (joining.stack, (A, A.T), 0, ShapeError, r"stack: \[3, 2\] beside \[2, 3\]; all shapes must be equal"),
        (joining.stack, (A, A), 3, ShapeError, "stack: there is no dimension 3 .*: give one from -3 to 2"),
        (joining.stack, (A, A.astype("f4")), 0, DTypeError, "stack: float32 beside float64"),
        (joining.concatenate, (A, A.astype(int)), 0, DTypeError, "concatenate: int64 beside float64"),
    ],
)
def test_what_does_not_fit_is_refused(op, arrays, dim, kind, said):
    with pytest.raises(kind, match=said):
        op(*arrays, dim=dim)
