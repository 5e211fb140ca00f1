"""Numbers of dimensions: -1 is the last one, and what is out of range is refused by name."""

import operator

from groundup.engine.errors import ShapeError


def one_dim(op: str, dim: int, ndim: int) -> int:
    """Return `dim` counted from the front: 0 … ndim - 1.

    Raises:
        ShapeError: if there is no such dimension.

    Example:
        >>> one_dim("sum", -1, 3)
        2
    """
    try:
        found = operator.index(dim)
    except TypeError:
        raise ShapeError(f"{op}: a dimension is a whole number, not {dim!r}") from None
    if not -ndim <= found < ndim:
        raise ShapeError(
            f"{op}: there is no dimension {found} in a tensor of {ndim}: "
            + (f"give one from {-ndim} to {ndim - 1}" if ndim else "a single number has none")
        )
    return found % ndim
