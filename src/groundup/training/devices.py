"""Where and in which precision to compute: CUDA, MPS or CPU, float32 or bfloat16."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Literal

import torch

from groundup.configs.training import TrainConfig
from groundup.errors import InputError
from groundup.layers.linear import OneDNNLinears


def choose_device(name: str = "auto") -> torch.device:
    """Return the device called `name`; auto takes CUDA, else MPS (Apple's GPU), else the CPU.

    Raises:
        InputError: a device that this machine, or this build of torch, does not have.

    Example:
        >>> choose_device("cpu")
        device(type='cpu')
    """
    present = [*(["cuda"] if torch.cuda.is_available() else []), *(["mps"] if _has_mps() else []), "cpu"]
    if name == "auto":
        return torch.device(present[0])
    if name not in present:
        here = ", ".join(present)
        raise InputError(f"expected a device of this machine ({here}), found {name!r}: take auto, which finds the best")
    return torch.device(name)


def autocast(device: torch.device, precision: Literal["auto", "float32", "bfloat16"]) -> AbstractContextManager[None]:
    """Return a context for the forward pass: under bfloat16, matrix products are computed in it.

    Weights, sums over them (norms, softmax, loss) and the optimizer stay float32: autocast casts the inputs of those
    operations only that gain by it (Micikevicius et al. 2018). bfloat16 has float32's range, so gradients need no
    scaling (Kalamkar et al. 2019). Enter it anew for each forward pass; the backward pass runs outside. An auto that
    nobody has settled (`launch` does, by measuring) is float32.

    Example:
        >>> layer = torch.nn.Linear(4, 2)
        >>> with autocast(torch.device("cpu"), "bfloat16"):
        ...     print(layer(torch.ones(1, 4)).dtype, layer.weight.dtype)
        torch.bfloat16 torch.float32
    """
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")


@contextmanager
def arithmetic(device: torch.device, config: TrainConfig) -> Iterator[None]:
    """Enter what the forward pass of a training step computes with: config.precision and config.compute.linear.

    Example:
        >>> layer, x = torch.nn.Linear(4, 2), torch.ones(1, 4)
        >>> with arithmetic(torch.device("cpu"), TrainConfig(precision="bfloat16")):
        ...     print(layer(x).dtype)
        torch.bfloat16
    """
    linears = OneDNNLinears() if config.compute.linear == "onednn" and device.type == "cpu" else nullcontext()
    with autocast(device, config.precision), linears:
        yield


@contextmanager
def deterministic(device: torch.device) -> Iterator[None]:
    """On CUDA, let torch take kernels that give the same bits each time; other devices do so by themselves.

    cuBLAS does only with CUBLAS_WORKSPACE_CONFIG set before CUDA is first used, as the training commands do. An
    operation that has no such kernel warns and is used all the same: the run is then exact but for its last bits.
    """
    if device.type != "cuda":
        yield
        return
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])


def _has_mps() -> bool:
    return torch.backends.mps.is_available()
