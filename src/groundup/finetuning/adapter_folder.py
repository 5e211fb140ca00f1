"""An adapter as a folder that `peft` reads, too: adapter_config.json, adapter_model.safetensors, groundup.json."""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from groundup.engine.safetensors import save_file
from groundup.errors import InputError
from groundup.weights.json_files import read_object
from groundup.weights.manifest import sync_names

CONFIG, TENSORS, OURS = "adapter_config.json", "adapter_model.safetensors", "groundup.json"
"""The files: PEFT's names for the first two."""


@dataclass(frozen=True, kw_only=True)
class AdapterFolder:
    """What an adapter's folder holds."""

    config: dict[str, Any]
    """What `peft` reads of it."""
    tensors: dict[str, Tensor]
    """By PEFT's names, in float32."""
    ours: dict[str, Any]
    """What `peft` has no field for; {} in a folder that groundup did not write."""


def write_adapter(
    folder: Path, *, config: Mapping[str, Any], tensors: Mapping[str, Tensor], ours: Mapping[str, Any]
) -> None:
    """Write `folder`, which is there whole or not at all.

    Args:
        folder: new, or empty.
        config: for adapter_config.json.
        tensors: by PEFT's names; written as float32.
        ours: for groundup.json.

    Raises:
        InputError: a folder in use, a place that cannot be written, a full disk.

    Example:
        >>> import tempfile, torch
        >>> folder = Path(tempfile.mkdtemp()) / "adapter"
        >>> write_adapter(folder, config={"r": 8}, tensors={"A": torch.ones(2)}, ours={"base": "smollm2"})
        >>> read_adapter(folder)
        AdapterFolder(config={'r': 8}, tensors={'A': tensor([1., 1.])}, ours={'base': 'smollm2'})
    """
    folder = Path(folder)
    partial = folder.with_name(f".{folder.name}.{os.getpid()}.unfinished")
    numbers = {name: tensor.detach().float().cpu().contiguous().numpy() for name, tensor in tensors.items()}
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise InputError(f"expected a new or empty folder for an adapter, found {folder} in use: name another")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        for name, document in ((CONFIG, config), (OURS, ours)):
            text = json.dumps(document, indent=2, ensure_ascii=False, sort_keys=True) + "\n"
            (partial / name).write_text(text, encoding="utf-8")
        save_file(numbers, partial / TENSORS, {"format": "pt"})
        partial.rename(folder)
        sync_names(folder.parent)
    except OSError as error:
        found = error.strerror or error
        raise InputError(
            f"expected to write an adapter at {folder}, found: {found}; make room or name another place"
        ) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def read_adapter(folder: Path) -> AdapterFolder:
    """Return what `write_adapter` or `peft` wrote.

    Raises:
        InputError: no adapter there, or a damaged file.
    """
    folder = Path(folder)
    if not (folder / CONFIG).is_file():
        raise InputError(f"expected {CONFIG} in {folder}, found none: name the folder of an adapter")
    if not (folder / TENSORS).is_file():
        found = "adapter_model.bin" if (folder / "adapter_model.bin").exists() else "none"
        raise InputError(f"expected {TENSORS} in {folder}, found {found}: save it with peft's safe_serialization=True")
    try:
        with safe_open(folder / TENSORS, framework="pt") as file:
            # Copied out of the mapped file, which may change or vanish.
            tensors = {name: file.get_tensor(name).float().clone() for name in file.keys()}  # noqa: SIM118 - no dict
    except (OSError, ValueError, SafetensorError) as error:
        found = " ".join(str(error).split())[:120]
        raise InputError(
            f"expected a whole safetensors file at {folder / TENSORS}, found {found}; copy it again"
        ) from None
    ours = read_object(folder / OURS, missing_ok=True)
    return AdapterFolder(config=read_object(folder / CONFIG), tensors=tensors, ours=ours)
