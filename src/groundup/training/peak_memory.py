"""The most memory that this process, or torch on a GPU, has held."""

import re
import sys
from pathlib import Path

import torch


def peak_memory(device: torch.device) -> int | None:
    """Return the most memory this process has taken: on a GPU what torch held there, else what was resident.

    Linux tells it of the program that runs now; elsewhere the figure may include the program that started this one.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved()
    try:
        status = Path("/proc/self/status").read_text(encoding="utf-8")
    except OSError:
        status = ""
    if found := re.search(r"VmHWM:\s+(\d+) kB", status):
        return int(found[1]) * 1024
    try:
        import resource
    except ImportError:  # Windows
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
