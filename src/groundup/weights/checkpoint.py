"""Checkpoints: tensors and documents in a folder that is there whole or not at all, and is checked before use."""

import json
import re
import shutil
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from groundup.errors import InputError
from groundup.weights.manifest import FILE_NAME, MANIFEST, damaged, sync_names, verify_manifest, write_manifest
from groundup.weights.marks import is_marked, set_mark

STEP_FOLDER = re.compile(r"step-\d+")
"""How the checkpoint after N steps is called, in the folder of a run's checkpoints."""
UNFINISHED = ".unfinished"
"""Ending of a folder that is being written or removed; its name begins with a dot."""
OTHER_NAMES = "other_names"
"""The one metadata entry of a safetensors file: JSON from each tied name to the name that its tensor is stored under.
One, because safetensors writes several in an order that changes from process to process."""


@dataclass(frozen=True)
class Checkpoint:
    """What `load_checkpoint` read."""

    tensors: dict[str, dict[str, torch.Tensor]]
    """Tensors by name, by the name of their file; in memory of their own, on the CPU."""
    documents: dict[str, Any]
    """Documents by name: what JSON keeps of them (tuples are lists, keys are texts)."""


def save_checkpoint(
    folder: Path,
    *,
    tensors: Mapping[str, Mapping[str, torch.Tensor]],
    documents: Mapping[str, object],
    marked: bool = False,
) -> None:
    """Write `folder`: NAME.safetensors for each of `tensors`, NAME.json for each of `documents`, manifest.json.

    All is written beside the folder, forced to disk, then renamed: wherever the process stops, the folder is there
    whole or not at all. What it left is removed the next time; so only one process at a time may save into the same
    parent folder. Names of one tensor (tied weights) are stored once.

    Args:
        folder: must not exist.
        tensors: by name of the file, then by name of the tensor; from any device.
        documents: what JSON can hold.
        marked: keep it for good, from the moment that it is there.

    Raises:
        InputError: the folder exists, the disk is full, or the place cannot be written. Nothing is left behind.
        TypeError, ValueError: a document that JSON cannot hold, NaN and infinity included, or an impossible name.

    Example:
        >>> folder = Path(__import__("tempfile").mkdtemp()) / "step-10"
        >>> save_checkpoint(folder, tensors={"model": {"w": torch.ones(2)}}, documents={"state": {"step": 10}})
        >>> sorted(path.name for path in folder.iterdir())
        ['manifest.json', 'model.safetensors', 'state.json']
        >>> checkpoint = load_checkpoint(folder)
        >>> checkpoint.tensors["model"]["w"], checkpoint.documents
        (tensor([1., 1.]), {'state': {'step': 10}})
    """
    texts = {f"{name}.json": _to_json(document) for name, document in documents.items()}
    for name in [*texts, *(f"{name}.safetensors" for name in tensors)]:
        if not FILE_NAME.fullmatch(name) or name == MANIFEST:
            raise ValueError(f"expected names of letters, digits, _ and -, other than manifest, found {name!r}")
    if folder.exists():
        raise InputError(f"expected a new folder for a checkpoint, found {folder} in use: nothing was overwritten")
    partial = _unfinished(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(folder.parent)
        partial.mkdir()
        for name, group in tensors.items():
            _write_tensors(partial / f"{name}.safetensors", group)
        for name, text in texts.items():
            (partial / name).write_text(text, encoding="utf-8")
        write_manifest(partial)
        if marked:
            set_mark(partial, marked=True)
        partial.rename(folder)
        sync_names(folder.parent)
    except (OSError, SafetensorError) as error:
        found = " ".join(str(getattr(error, "strerror", None) or error).split())
        raise InputError(
            f"expected to write a checkpoint at {folder}, found: {found}; earlier checkpoints are as they were: "
            "make room or choose another place, then go on with groundup resume"
        ) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def load_checkpoint(folder: Path, *, only: Collection[str] | None = None) -> Checkpoint:
    """Read what `save_checkpoint` wrote, after comparing every file with its checksum.

    Args:
        folder: a checkpoint.
        only: names of tensors and documents to read, such as ("model",); others are not even checked. None: all.

    Raises:
        InputError: no checkpoint there, no file of a name in `only`, or damage, naming the file.

    Example: see `save_checkpoint`.
    """
    names = verify_manifest(folder, only=only)
    checkpoint = Checkpoint({}, {})
    for path in (folder / name for name in names):
        try:
            if path.suffix == ".json":
                checkpoint.documents[path.stem] = json.loads(path.read_text(encoding="utf-8"))
            else:
                checkpoint.tensors[path.stem] = _read_tensors(path)
        except (OSError, ValueError, SafetensorError) as error:
            raise damaged(path, " ".join(str(error).split())) from None
    return checkpoint


def newest_checkpoint(
    folder: Path,
    *,
    only: Collection[str] | None = None,
    on_damaged: Callable[[Path, InputError], object] | None = None,
) -> Path | None:
    """Return the intact step-N of `folder` with the greatest N, or None when there is none.

    Args:
        folder: a run's checkpoints; need not exist.
        only: names that must be intact, as in `load_checkpoint`. None: all.
        on_damaged: called with each damaged checkpoint that is passed over, and what is wrong with it.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> for step in (9, 10):
        ...     save_checkpoint(folder / f"step-{step}", tensors={}, documents={"state": {"step": step}})
        >>> newest_checkpoint(folder).name
        'step-10'
        >>> (folder / "step-10" / "state.json").unlink()
        >>> newest_checkpoint(folder, on_damaged=lambda path, error: print("damaged:", path.name)).name
        damaged: step-10
        'step-9'
    """
    for path in _newest_first(folder):
        try:
            verify_manifest(path, only=only)
        except InputError as error:
            if on_damaged is not None:
                on_damaged(path, error)
        else:
            return path
    return None


def set_aside(folder: Path) -> Path:
    """Rename a damaged checkpoint step-N to step-N.damaged, so that step N can be saved again, and return that path.

    Raises:
        InputError: the place cannot be written.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp()) / "step-10"
        >>> folder.mkdir()
        >>> set_aside(folder).name
        'step-10.damaged'
    """
    names = (f"{folder.name}.damaged{'' if i == 1 else i}" for i in range(1, 1_000_000))
    target = next(path for name in names if not (path := folder.with_name(name)).exists())
    try:
        return folder.rename(target)
    except OSError as error:
        raise InputError(
            f"expected to rename {folder} to {target.name}, found: {error.strerror}; remove or rename it yourself"
        ) from None


def prune_checkpoints(folder: Path, *, keep_last: int, keep: Collection[str] = ()) -> list[Path]:
    """Remove all step-N of `folder` but the newest `keep_last`, those named in `keep` and those that are marked.

    Returns what was removed. Marked ones do not count as newest. A folder with a file missing or cut short does not
    either, so damage never costs the last good checkpoint; it is removed when it is older than those.

    Raises:
        ValueError: `keep_last` below 1.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> for step in (10, 20, 30, 40):
        ...     save_checkpoint(folder / f"step-{step}", tensors={}, documents={})
        >>> [path.name for path in prune_checkpoints(folder, keep_last=1, keep={"step-20"})]
        ['step-30', 'step-10']
    """
    if keep_last < 1:
        raise ValueError(f"keep_last must be at least 1, found {keep_last}")
    _remove_leftovers(folder)
    n_kept, removed = 0, []
    for path in _newest_first(folder):
        if is_marked(path):
            continue
        if n_kept >= keep_last and path.name not in keep:
            with suppress(OSError):  # what cannot be removed is no reason to stop a run
                # Renamed first: a removal that is interrupted leaves no half checkpoint.
                shutil.rmtree(path.rename(_unfinished(path)), ignore_errors=True)
                removed.append(path)
        elif _looks_whole(path):
            n_kept += 1
    return removed


def _newest_first(folder: Path) -> list[Path]:
    folders = [path for path in folder.glob("step-*") if STEP_FOLDER.fullmatch(path.name) and path.is_dir()]
    return sorted(folders, key=lambda path: int(path.name.removeprefix("step-")), reverse=True)


def _looks_whole(folder: Path) -> bool:
    try:
        verify_manifest(folder, contents=False)
    except InputError:
        return False
    return True


def _unfinished(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}{UNFINISHED}")


def _remove_leftovers(folder: Path) -> None:
    for path in folder.glob(f".*{UNFINISHED}"):
        shutil.rmtree(path, ignore_errors=True)


def _to_json(document: object) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _write_tensors(path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    """Write one safetensors file; its metadata say which names are other names of a stored tensor."""
    stored: dict[str, torch.Tensor] = {}
    names: dict[tuple[object, ...], str] = {}
    other_names: dict[str, str] = {}
    memories: set[int] = set()
    for name, tensor in tensors.items():
        tensor = tensor.detach()
        key = (tensor.device, tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride())
        if tensor.numel() and key in names:
            other_names[name] = names[key]
            continue
        names[key] = name
        # safetensors refuses memory that is larger than the tensor, or that two tensors see in different ways.
        memory = tensor.untyped_storage()
        is_shared = memory.nbytes() != tensor.numel() * tensor.element_size() or memory.data_ptr() in memories
        memories.add(memory.data_ptr())
        stored[name] = (tensor.clone() if is_shared else tensor).contiguous().cpu()
    metadata = {OTHER_NAMES: json.dumps(other_names)} if other_names else None  # {} makes a file that no reader accepts
    save_file(stored, path, metadata=metadata)
    path.chmod(path.parent.stat().st_mode & 0o666)  # safetensors makes files that only their owner can read


def _read_tensors(path: Path) -> dict[str, torch.Tensor]:
    with safe_open(path, framework="pt") as file:
        # Copied out of the mapped file: a file that changes later must not change them, and kernels see the same
        # alignment as in the run that saved them.
        tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 - it is no dict
        told = file.metadata() or {}
    # Files written before there was this entry have one for each name.
    other_names = json.loads(told[OTHER_NAMES]) if told.get(OTHER_NAMES, "").startswith("{") else told
    for name, stored_as in other_names.items():
        tensors[name] = tensors[stored_as]
    return tensors
