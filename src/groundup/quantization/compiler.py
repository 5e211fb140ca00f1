"""numba, where it is installed: functions compiled to machine code once a machine, and kept for the next process."""

from collections.abc import Callable
from typing import Any

try:
    from llvmlite import ir  # type: ignore[import-untyped]
    from numba import carray, njit, types
    from numba.core import cgutils
    from numba.extending import intrinsic as numba_intrinsic
except ImportError:  # the extra `fast` is missing: see `kernels.has_kernels`; nobody calls what is marked here
    carray = cgutils = ir = njit = numba_intrinsic = types = None


def compiled(signature: str | None = None) -> Callable[[Any], Any]:
    """Compile a function for these types where it is defined, or take it from the cache; None: where it is called.

    Sums may be taken in any order, so that they fit the processor's vectors; NaN and infinity stay what they are.
    """
    if njit is None:
        return lambda function: function
    sums = {"reassoc", "contract", "nsz", "arcp"}
    signatures = [] if signature is None else [signature]
    found: Callable[[Any], Any] = njit(*signatures, cache=True, nogil=True, error_model="numpy", fastmath=sums)
    return found


def intrinsic(function: Callable[..., Any]) -> Any:  # noqa: ANN401 - numba's own
    """Make an operation for compiled functions of one that returns its signature and what writes its LLVM code."""
    return function if numba_intrinsic is None else numba_intrinsic(function)


__all__ = ["carray", "cgutils", "compiled", "intrinsic", "ir", "types"]
