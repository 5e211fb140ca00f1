"""What decides the last bits of a run besides its config: torch, the processor, the device, the number of threads."""

import platform
from pathlib import Path

import torch


def environment(device: torch.device) -> dict[str, str | int]:
    """Return what this process computes with; each checkpoint says with what it was made.

    Sums of floats depend on the order of their terms, and that on the kernels that torch picks for a processor and on
    how many threads share the work. The same weights, bit for bit, are promised only where all of these are the same.

    Example:
        >>> sorted(environment(torch.device("cpu")))
        ['device', 'processor', 'threads', 'torch']
    """
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return {
        "torch": str(torch.__version__),
        "processor": _processor(),
        "device": name,
        "threads": torch.get_num_threads(),
    }


def differences(before: dict[str, str | int], now: dict[str, str | int]) -> str:
    """Say in one line how two environments differ, or return "". What `before` does not tell is no difference.

    Example:
        >>> differences({"torch": "2.12.0", "threads": 2}, {"torch": "2.13.0", "threads": 1, "device": "cpu"})
        'results may differ in the last bits from a run without a stop: torch 2.12.0 -> 2.13.0, threads 2 -> 1'
    """
    changed = [
        f"{name} {before[name]} -> {now[name]}" for name in before if now.get(name, before[name]) != before[name]
    ]
    if not changed:
        return ""
    return f"results may differ in the last bits from a run without a stop: {', '.join(changed)}"


def _processor() -> str:
    """Return the model of the processor, and the vector instructions that torch was allowed to use on it."""
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        name = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass  # not Linux, or a processor that Linux knows no name of
    return f"{name} ({torch.backends.cpu.get_cpu_capability()})"
