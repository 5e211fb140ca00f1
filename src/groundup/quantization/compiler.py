"""numba, where it is installed: functions compiled to machine code once a machine, and kept for the next process."""

import os
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from groundup.download import cache_folder

try:
    from llvmlite import ir  # type: ignore[import-untyped]
    from numba import carray, njit, types
    from numba.core import cgutils, config
    from numba.extending import intrinsic as numba_intrinsic
except ImportError:  # the extra `fast` is missing: see `kernels.has_kernels`; nobody calls what is marked here
    carray = cgutils = config = ir = njit = numba_intrinsic = types = None


SOURCES = ("compiler", "row_products", "vectors", "team", "compiled_step", "widened")
"""Modules whose functions are compiled."""


def compiled(signature: str | None = None) -> Callable[[Any], Any]:
    """Compile a function for these types where it is defined, or take it from the cache; None: where it is called.

    Sums may be taken in any order, so that they fit the processor's vectors; NaN and infinity stay what they are.
    """
    if njit is None:
        return lambda function: function
    sums = {"reassoc", "contract", "nsz", "arcp"}
    signatures = [] if signature is None else [signature]

    def mark(function: Callable[..., Any]) -> Any:  # noqa: ANN401 - numba's own
        before, config.CACHE_DIR = config.CACHE_DIR, _folder(config.CACHE_DIR)
        try:
            return njit(*signatures, cache=True, nogil=True, error_model="numpy", fastmath=sums)(function)
        finally:
            config.CACHE_DIR = before

    return mark


@cache
def _folder(named: str) -> str:
    """Return where compiled code is kept: one folder for each state of SOURCES, in the folder `named` if there is one.

    numba would look at the file of a function alone, and miss that one which it calls has changed.
    """
    here = Path(__file__).parent
    state = sha256(b"".join((here / f"{name}.py").read_bytes() for name in SOURCES)).hexdigest()[:16]
    beside = here / "__pycache__"
    is_ours = os.access(beside if beside.exists() else here, os.W_OK)
    return str((Path(named) if named else beside if is_ours else cache_folder()) / f"compiled-{state}")


def intrinsic(function: Callable[..., Any]) -> Any:  # noqa: ANN401 - numba's own
    """Make an operation for compiled functions of one that returns its signature and what writes its LLVM code."""
    return function if numba_intrinsic is None else numba_intrinsic(function)


__all__ = ["carray", "cgutils", "compiled", "intrinsic", "ir", "types"]
