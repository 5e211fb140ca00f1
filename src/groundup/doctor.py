"""What this machine has for groundup, what is missing, and what to do about it."""

import importlib.metadata
import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from groundup.errors import InputError

CORE = ("torch", "numpy", "safetensors", "tokenizers", "tiktoken", "matplotlib", "tensorboard")
REFERENCES = ("transformers", "scikit-learn", "hypothesis")


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    name: str
    """What was looked at."""
    state: Literal["ok", "note", "missing"]
    """missing: the core cannot work without it."""
    found: str
    """What is there."""
    advice: str = ""
    """What to do, when something can be done."""


def examine() -> list[Finding]:
    """Look at the machine; takes about two seconds, most of it the import of torch.

    Example:
        >>> [finding.name for finding in examine()][:3]
        ['python', 'processor', 'memory']
    """
    return [*_machine(), *_packages(), *_torch(), *_texts()]


def _machine() -> Iterator[Finding]:
    yield Finding(name="python", state="ok", found=f"{platform.python_version()} on {platform.platform(terse=True)}")
    known = _processor_flags()
    fast = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16") if flag in known]
    yield Finding(
        name="processor", state="ok", found=f"{os.cpu_count()} cores, {', '.join(fast) or platform.machine()}"
    )
    gigabytes = _memory_gigabytes()
    if gigabytes is not None:
        advice = "" if gigabytes >= 2 else "the demo needs about 1 GB"
        yield Finding(name="memory", state="ok" if not advice else "note", found=f"{gigabytes:.0f} GB", advice=advice)
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    advice = "" if free >= 1 else "a run of the demo writes about 50 MB"
    yield Finding(name="disk", state="note" if advice else "ok", found=f"{free:.0f} GB free here", advice=advice)


def _processor_flags() -> frozenset[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        return frozenset()
    return frozenset(next((line for line in lines if line.startswith("flags")), "").split())


def _memory_gigabytes() -> float | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    except (AttributeError, ValueError, OSError):  # not POSIX
        return None


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _packages() -> Iterator[Finding]:
    absent = [name for name in CORE if _version(name) is None]
    found = ", ".join(f"{name} {_version(name)}" for name in CORE if name not in absent)
    if absent:
        yield Finding(
            name="packages", state="missing", found=f"without {', '.join(absent)}", advice="pip install groundup"
        )
    else:
        yield Finding(name="packages", state="ok", found=found)
    lacking = [name for name in REFERENCES if _version(name) is None]
    if lacking:
        yield Finding(
            name="references",
            state="note",
            found=f"without {', '.join(lacking)}",
            advice="groundup verify skips their rows; pip install 'groundup[dev]'",
        )
    else:
        yield Finding(name="references", state="ok", found=", ".join(f"{n} {_version(n)}" for n in REFERENCES))


def _torch() -> Iterator[Finding]:
    try:
        import torch
    except (ImportError, OSError) as error:
        advice = "pip install -c constraints.txt torch"
        yield Finding(name="torch", state="missing", found=f"does not import: {error}", advice=advice)
        return
    if torch.cuda.is_available():
        device = f"cuda: {torch.cuda.get_device_name(0)}"
    elif torch.backends.mps.is_available():
        device = "mps: Apple GPU"
    else:
        device = "cpu: no GPU was found, and none is needed for the demo"
    yield Finding(name="device", state="ok", found=f"{device}; {torch.get_num_threads()} threads")


def _texts() -> Iterator[Finding]:
    from groundup.data.corpora import list_corpora
    from groundup.download import data_folder

    try:
        folder = data_folder()
        wrong = "" if folder is None or folder.is_dir() else f"{folder} is not a folder"
    except InputError as error:
        wrong = str(error)
    if wrong:
        advice = "set GROUNDUP_DATA to a folder that exists, or unset it"
        yield Finding(name="GROUNDUP_DATA", state="note", found=wrong, advice=advice)
    for corpus in list_corpora():
        yield Finding(name=corpus.name, state="ok", found=corpus.found)
