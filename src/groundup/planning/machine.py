"""What this machine can give: memory that is free now, and the fastest matrix product measured on it."""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the part about memory runs before torch is imported
    import torch

SHAPES = ((1024, 1024, 1024), (2048, 768, 3072), (4096, 1024, 1024), (512, 4096, 4096))
"""Products [m, k] @ [k, n] tried for the peak, as (m, k, n): square, long, wide."""
SECONDS_PER_SHAPE = 0.15
"""Time spent on each shape, after one product that is not timed."""


@dataclass(frozen=True, kw_only=True)
class Peak:
    """The fastest matrix product found."""

    flops_per_second: float
    """Operations per second of the best shape."""
    shape: tuple[int, int, int]
    """Its (m, k, n)."""
    precision: str
    """float32 or bfloat16."""
    threads: int
    """CPU threads used; on a GPU, 0."""


def measure_peak(precision: str = "float32", device: str = "cpu", *, seconds: float = SECONDS_PER_SHAPE) -> Peak:
    """Multiply matrices of a few shapes for a moment each, with the threads torch is set to; return the best.

    This is what torch reaches here, not what the maker of the processor promises: the honest 100 % for a training
    step written in torch.

    Example:
        >>> measure_peak(seconds=0.001).flops_per_second > 1e6
        True
    """
    import torch

    dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16}[precision]
    found = {shape: _rate(shape, dtype, torch.device(device), seconds) for shape in SHAPES}
    best = max(found, key=lambda shape: found[shape])
    threads = 0 if device == "cuda" else torch.get_num_threads()
    return Peak(flops_per_second=found[best], shape=best, precision=precision, threads=threads)


def _rate(shape: tuple[int, int, int], dtype: "torch.dtype", device: "torch.device", seconds: float) -> float:
    import torch
    from torch.nn import functional as F

    m, k, n = shape
    a, b = torch.ones(m, k, dtype=dtype, device=device), torch.ones(n, k, dtype=dtype, device=device)

    def wait() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize()

    def once() -> float:
        began = time.perf_counter()
        F.linear(a, b)  # as the model does it, so that the kernels chosen for linear layers are the ones measured
        wait()
        return time.perf_counter() - began

    with torch.no_grad():
        once()
        times = [once()]
        while sum(times) < seconds:
            times.append(once())
    return 2 * m * k * n / min(times)


def available_memory(root: Path = Path("/")) -> int | None:
    """Return how many bytes a new process can take now: free memory, or less where a control group sets a limit.

    Swap is not counted: a run that swaps is not one that fits. Where the system does not say what is free (macOS), its
    whole memory is returned; None where it says nothing.

    Args:
        root: where /proc and /sys are looked for.

    Example:
        >>> available_memory() is None or available_memory() > 0
        True
    """
    free = _read_meminfo(root / "proc/meminfo")
    if free is None:
        try:
            free = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        except (AttributeError, ValueError, OSError):  # not POSIX
            return None
    return min([free, *_group_limits(root)])


def device_memory() -> int:
    """Return the bytes that are free on the current CUDA device."""
    import torch

    return int(torch.cuda.mem_get_info()[0])


def _read_meminfo(path: Path) -> int | None:
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    found = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    return found[0] if found else None


def _group_limits(root: Path) -> list[int]:
    """Return what each control group above this process leaves free; version 2, then version 1."""
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    found: list[int] = []
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if controllers == "":
            base, limit, usage = root / "sys/fs/cgroup", "memory.max", "memory.current"
        elif "memory" in controllers.split(","):
            base, limit, usage = root / "sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
        else:
            continue
        parts = [part for part in group.split("/") if part not in ("", "..")]
        for depth in range(len(parts), -1, -1):  # a limit anywhere above holds too; in a container the path may be
            folder = base.joinpath(*parts[:depth])  # the host's, and then only the top one is there
            most, used = _number(folder / limit), _number(folder / usage)
            if most is not None and used is not None:
                found.append(max(0, most - used + _reclaimable(folder / "memory.stat")))
    return found


def _number(path: Path) -> int | None:
    """Return the number in a file; None where there is no file, or it says "max"."""
    try:
        text = path.read_text(encoding="ascii").strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None


def _reclaimable(path: Path) -> int:
    """Return the bytes of cached files that the kernel drops when memory is asked for."""
    try:
        rows = [line.split() for line in path.read_text(encoding="ascii").splitlines()]
    except OSError:
        return 0
    return next((int(row[1]) for row in rows if len(row) == 2 and row[0] == "inactive_file"), 0)
