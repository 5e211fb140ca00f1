"""What the engine raises: each message names the operation, the shapes or dtypes, the rule broken and what to do."""


class ShapeError(ValueError):
    """Shapes that do not fit the operation."""


class DTypeError(TypeError):
    """Element types that the operation cannot take."""


class GradientError(RuntimeError):
    """Something asked of autograd that would give no gradient or a wrong one."""


def not_tensors(operation: str, *found: object) -> str:
    """Return the message for arguments that are no tensors where a tensor is needed."""
    kinds = " and ".join(type(one).__name__ for one in found)
    return f"{operation}: expected a tensor, found {kinds}; make one with tensor()"
