"""Named tensors in the files of a folder, strangers' files included: all is checked before anything is read."""

import mmap
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from groundup.engine.safetensors import Entry, SafetensorsError, read_header
from groundup.errors import InputError
from groundup.weights.json_files import read_object

DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
"""Number formats of weights, as safetensors spells them."""
NAMES = ("model.safetensors", "pytorch_model.bin")
"""What a model's file is called, in the order of preference; in parts, NAME.index.json says which part holds what."""
LARGE = 1 << 20
"""Bytes from which a tensor gets pages of its own."""
_AGAIN = "copy or download it again"


@dataclass(frozen=True)
class TensorFile:
    """One tensor that lies in a file."""

    path: Path
    """The file."""
    shape: tuple[int, ...]
    """Its sizes."""
    read: Callable[[], Tensor]
    """Returns it, in memory of its own where the file is safetensors; in the format that the file has."""


def open_tensors(folder: Path) -> dict[str, TensorFile]:
    """Return the tensors in a folder by name: model.safetensors, its parts with an index, or an old pytorch_model.bin.

    Numbers are not read yet, but for a .bin, whose pickle is only opened as `torch.load(weights_only=True)` does.

    Raises:
        InputError: nothing there, a part that is missing or outside the folder, a name twice, a damaged file.

    Example:
        >>> import tempfile
        >>> from groundup.engine.safetensors import save_file
        >>> folder = Path(tempfile.mkdtemp())
        >>> save_file({"w": torch.ones(2, 3).numpy()}, folder / "model.safetensors")
        >>> found = open_tensors(folder)["w"]
        >>> found.shape, found.read().sum().item()
        ((2, 3), 6.0)
    """
    for name in NAMES:
        if (folder / name).is_file():
            return _open(folder / name)
        if (folder / f"{name}.index.json").is_file():
            return _open_parts(folder / f"{name}.index.json")
    raise InputError(f"expected {' or '.join(NAMES)} in {folder}, found neither: name a folder with a model's weights")


def _open_parts(index: Path) -> dict[str, TensorFile]:
    places = read_object(index).get("weight_map")
    if not isinstance(places, dict) or not all(isinstance(name, str) for name in places.values()):
        raise InputError(f'expected "weight_map", from names to files, in {index}, found other JSON: {_AGAIN}')
    found: dict[str, TensorFile] = {}
    for file in sorted(set(places.values())):
        path = index.parent / file
        if file != path.name or path.suffix != index.suffixes[-3]:
            raise InputError(f"expected {index} to name files beside it, found {file!r}: do not use this model")
        if not _is_file(path):
            raise InputError(f"expected {path}, which {index.name} names, found no such file: {_AGAIN}")
        part = _open(path)
        if twice := found.keys() & part.keys():
            raise InputError(f"expected each tensor once, found {min(twice)} in {path} and in another part: {_AGAIN}")
        found |= part
    for name, file in places.items():
        if name not in found or found[name].path.name != file:
            raise InputError(f"expected {name} in {index.parent / file}, as {index.name} says, found none: {_AGAIN}")
    return found


def _open(path: Path) -> dict[str, TensorFile]:
    return _open_safetensors(path) if path.suffix == ".safetensors" else _open_pickle(path)


def _open_safetensors(path: Path) -> dict[str, TensorFile]:
    try:
        entries, _, start = read_header(path)
    except SafetensorsError as error:
        raise InputError(f"expected a whole safetensors file, found {error}; {_AGAIN}") from None
    except OSError as error:
        raise InputError(f"expected to read {path}, found: {error.strerror or error}") from None
    return {
        name: TensorFile(path, entry.shape, partial(_read, path, name, entry, start)) for name, entry in entries.items()
    }


def _read(path: Path, name: str, entry: Entry, start: int) -> Tensor:
    """Return one tensor. Read, not mapped: the pages of a map would count as this process' memory beside the copy."""
    if entry.dtype not in DTYPES:
        raise InputError(f"expected weights as {', '.join(DTYPES)} in {path}, found {name} as {entry.dtype}")
    memory = _memory(entry.end - entry.begin)
    with path.open("rb") as file:
        file.seek(start + entry.begin)
        n_read = file.readinto(memory.numpy().data)
    if n_read != len(memory):
        raise InputError(f"expected {path} as it was opened, found it cut short: {_AGAIN}")
    return memory.view(DTYPES[entry.dtype]).reshape(entry.shape)


def _memory(n_bytes: int) -> Tensor:
    """Return uint8 [n_bytes], whose memory goes back to the system when it is forgotten.

    Memory from malloc would often stay with the process as holes between tensors that are kept: for GPT-2, whose
    matrices are read and then laid out anew, 0.4 times the weights.
    """
    if n_bytes < LARGE:
        return torch.empty(n_bytes, dtype=torch.uint8)
    return torch.frombuffer(mmap.mmap(-1, n_bytes), dtype=torch.uint8)


def _open_pickle(path: Path) -> dict[str, TensorFile]:
    """Return the tensors of a file that `torch.save` wrote, if torch reads it without running any of its code."""
    refused = f"expected weights that torch.load(weights_only=True) reads in {path}, found"
    try:
        is_zip = zipfile.is_zipfile(path)
        if is_zip:
            with zipfile.ZipFile(path) as archive:
                if sum(part.file_size for part in archive.infolist()) > path.stat().st_size:
                    raise InputError(f"{refused} a compressed archive: use model.safetensors")
        tensors = torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip)
    except InputError:
        raise
    except Exception as error:  # whatever the pickle of a stranger makes torch raise
        reason = " ".join(str(error).split())[:120]
        raise InputError(f"{refused}: {type(error).__name__}: {reason}; use model.safetensors") from None
    if not isinstance(tensors, Mapping) or not all(
        isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in tensors.items()
    ):
        raise InputError(f"{refused} what is no mapping from names to tensors: use model.safetensors")
    _refuse_small_memory(tensors, path)
    return {
        name: TensorFile(path, tuple(tensor.shape), partial(torch.clone, tensor)) for name, tensor in tensors.items()
    }


def _refuse_small_memory(tensors: Mapping[str, Any], path: Path) -> None:
    """Refuse tensors that are larger than what holds them: repeated rows become real where they are converted."""
    memories: dict[int, int] = {}
    for name, tensor in tensors.items():
        if tensor.layout != torch.strided or tensor.dtype not in (*DTYPES.values(), torch.uint8, torch.bool):
            raise InputError(f"expected plain weights in {path}, found {name} as {tensor.dtype}, {tensor.layout}")
        memory = tensor.untyped_storage()
        memories[memory.data_ptr()] = memory.nbytes()
        if tensor.numel() * tensor.element_size() > memory.nbytes():
            raise InputError(f"expected {name} in {path} to fill its memory, found repeated numbers: do not use it")
    if sum(memories.values()) > path.stat().st_size:
        raise InputError(f"expected {path} to hold its tensors, found fewer bytes: {_AGAIN}")


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that no file can have
        return False
