"""torch.compile for the loss of a training step, tried first, so that a machine without a compiler says so at once."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch

from groundup.errors import InputError

P = ParamSpec("P")
R = TypeVar("R")

BACKEND = "inductor"
"""What turns graphs into code; it needs a C++ compiler on the CPU."""


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Return `function` compiled for tensors of fixed shapes; its first call takes half a minute for a GPT.

    Compile what only training calls: a model that is an argument of `function` stays as it is, and with it its
    state_dict, evaluation and sampling.

    Raises:
        InputError: torch.compile does not work here, which a function of one line has shown.

    Example:
        >>> from unittest.mock import patch
        >>> with patch(f"{compiled.__module__}.BACKEND", "eager"):
        ...     compiled(lambda x: 2 * x)(torch.ones(2))
        tensor([2., 2.])
    """
    torch.compiler.reset()  # what earlier runs of this process compiled counts against a limit, then all goes slowly
    try:
        torch.compile(_increment, backend=BACKEND)(torch.ones(2))
    except Exception as error:  # torch has many, and they differ from version to version
        reason = str(error).strip().split("\n", maxsplit=1)[0] or type(error).__name__
        raise InputError(
            f"expected torch.compile to work here, found: {reason}; install a C++ compiler (g++ or clang++), or leave "
            "compute.compile out"
        ) from None
    return torch.compile(function, backend=BACKEND, dynamic=False)


def _increment(x: torch.Tensor) -> torch.Tensor:
    return x + 1
