"""Which models can be opened from here: published ones by short name, and the runs in a folder."""

import json
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Literal

from groundup.configs.run_tasks import run_task
from groundup.planning.quantities import in_bytes
from groundup.resolve import QUANTIZED, find_model
from groundup.weights.catalog import PUBLISHED
from groundup.weights.hub_cache import cached_folder

HEADER_AT_MOST = 10**8
"""Bytes of a safetensors header; longer is no header."""


@dataclass(frozen=True, kw_only=True)
class Available:
    """One model that `groundup.load` opens by `name`."""

    name: str
    """What to call it."""
    kind: Literal["chat", "text", "run"]
    """Taught to converse; goes on with a text; a run or a quantized model of yours."""
    n_parameters: int | None
    """Numbers in it. None: cannot be told."""
    n_bytes: int | None
    """Its weights on this machine. None: not here."""
    licence: str
    """As its publisher names it; "yours" for a run."""
    source: str
    """Where it is, or where it would come from."""
    how: str = ""
    """How to get it, where it is not here."""


def known_models(runs: Path = Path("runs")) -> list[Available]:
    """Return the published models that have a short name, and the runs and quantized models in the folder `runs`.

    None is loaded.

    Example:
        >>> [model.name for model in known_models(Path("no such folder"))][:2]
        ['smollm2', 'smollm2-360m']
    """
    return [_published(name) for name in PUBLISHED] + _runs(runs) + _quantized(runs)


def _published(name: str) -> Available:
    entry, place = PUBLISHED[name], find_model(name)
    folder = place.path if place.hub_id is None else cached_folder(place.hub_id)
    how = ""
    if folder is None:
        how = f"get {in_bytes(entry.download)}" if entry.package is None else "make model"
    return Available(
        name=name,
        kind="chat" if entry.converses else "text",
        n_parameters=entry.n_parameters,
        n_bytes=None if folder is None else _weights_bytes(folder),
        licence=entry.licence,
        source=entry.hub_id if folder is None else folder.name if folder.is_file() else entry.hub_id,
        how=how,
    )


def _weights_bytes(place: Path) -> int:
    if place.is_file():
        return place.stat().st_size
    files = list(place.glob("*.safetensors")) or list(place.glob("*.bin"))
    return sum(file.stat().st_size for file in files)


def _quantized(folder: Path) -> list[Available]:
    """Return the quantized models in `folder`."""
    found = []
    for path in sorted(folder.glob(f"*/{QUANTIZED}")):
        told, weights = _read(path), path.parent / "model.safetensors"
        count, how = told.get("n_parameters"), told.get("quantization")
        if weights.is_file():
            found.append(
                Available(
                    name=str(path.parent),
                    kind="run",
                    n_parameters=count if isinstance(count, int) else None,
                    n_bytes=weights.stat().st_size,
                    licence="yours",
                    source=f"{how.get('to') if isinstance(how, dict) else 'few bits'} of {told.get('source')}",
                )
            )
    return found


def _runs(folder: Path) -> list[Available]:
    """Return the runs in `folder` that have weights and write, the newest first."""
    found = []
    for config in folder.glob("*/config.json"):
        weights = sorted(
            config.parent.glob("checkpoints/step-*/model.safetensors"), key=lambda path: path.stat().st_mtime
        )
        if weights and run_task(_read(config).get("task")).writes:
            found.append((weights[-1].stat().st_mtime, config.parent, weights[-1]))
    return [
        Available(
            name=str(run),
            kind="run",
            n_parameters=_count_all(run, weights),
            n_bytes=weights.stat().st_size,
            licence="yours",
            source=weights.parent.name,
        )
        for _, run, weights in sorted(found, reverse=True)
    ]


def _count_all(run: Path, weights: Path) -> int | None:
    """Return the numbers in a run's model: a checkpoint of a fine-tuning run holds only those that learned."""
    if "task" not in _read(run / "config.json"):
        return _count(weights)
    told = _read(run / "resources.json").get("parameters")
    return told if isinstance(told, int) else None


def _read(file: Path) -> dict[str, Any]:
    """Return the object in a JSON file, {} where there is none: a damaged run is still listed."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _count(file: Path) -> int | None:
    """Return the numbers in a safetensors file, by its header alone."""
    try:
        with file.open("rb") as opened:
            length = int.from_bytes(opened.read(8), "little")
            header = json.loads(opened.read(length) if length <= HEADER_AT_MOST else b"null")
        count: int = sum(prod(tensor["shape"]) for name, tensor in header.items() if name != "__metadata__")
        return count
    except (OSError, ValueError, LookupError, TypeError, AttributeError):  # a damaged run is still listed
        return None
