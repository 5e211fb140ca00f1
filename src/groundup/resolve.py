"""From a name to a model: a short name, a run, a folder or file of weights, or a repository on the hub."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from groundup.download import local_path
from groundup.errors import InputError
from groundup.weights.catalog import PUBLISHED
from groundup.weights.installed import installed_gguf

if TYPE_CHECKING:  # torch: not for what only looks names up
    from groundup.weights.pretrained import Pretrained

Kind = Literal["run", "quantized", "folder", "gguf", "hub"]
"""A run of ours; a folder of `save_quantized`; a Hugging Face folder; a GGUF file; a repository on the hub."""
QUANTIZED = "quantized.json"
"""The file by which a quantized folder is known."""

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True)
class Place:
    """Where a model is."""

    kind: Kind
    """What lies there."""
    path: Path | None
    """The run, folder or file. None: a repository on the hub."""
    hub_id: str | None = None
    """The repository on the hub."""


def find_model(name: str) -> Place:
    """Return where the model called `name` is, without reading it.

    A short name (`groundup models` lists them) comes first: write ./gpt2 for a folder that is called as one. Then what
    lies at the path `name`, then a repository OWNER/NAME on the hub.

    Raises:
        InputError: nothing of the kind, with what could be given.

    Example:
        >>> find_model("gpt2").hub_id
        'openai-community/gpt2'
    """
    if name in PUBLISHED:
        package = PUBLISHED[name].package
        file = None if package is None else installed_gguf(package)
        return Place("hub", None, PUBLISHED[name].hub_id) if file is None else Place("gguf", file)
    path = local_path(name) if name else Path("no name")
    if path.is_file():
        return Place("gguf", path)  # the reader says what is wrong with another kind of file
    if path.is_dir():
        if (path / QUANTIZED).is_file():
            return Place("quantized", path)
        return Place("run" if (path / "checkpoints").is_dir() else "folder", path)
    if _HUB_ID.fullmatch(name):
        return Place("hub", None, name)
    raise InputError(
        f"expected a model, found nothing called {name!r}: give a run, a folder or .gguf file, a repository "
        f"OWNER/NAME on the hub, or one of {', '.join(PUBLISHED)} (groundup models)"
    )


def open_model(name: str, *, packed: bool = False) -> "Pretrained":
    """Load the model called `name`, wherever it is: see `find_model`.

    Args:
        name: short name, path or repository.
        packed: leave the matrices of a GGUF file in the 4 or 8 bits that it has, instead of float32: for drawing text,
            and as a base for adapters.

    Raises:
        InputError: no such model, a damaged one, one of a family that `GPT` does not cover, or no network where it
            would have to be downloaded.
    """
    place = find_model(name)
    if place.hub_id is not None:
        from groundup.weights.hub import load_hub

        try:
            return load_hub(place.hub_id)
        except InputError as error:
            if name in PUBLISHED and PUBLISHED[name].package is not None:
                raise InputError(f"{error} (or install {PUBLISHED[name].package}, as make model does)") from None
            raise
    assert place.path is not None
    if place.kind == "gguf" and packed:
        from groundup.weights.gguf_packed import load_gguf_packed

        return load_gguf_packed(place.path)
    if place.kind == "gguf":
        from groundup.weights.gguf_model import load_gguf

        return load_gguf(place.path)
    if place.kind == "quantized":
        from groundup.weights.quantized_folder import load_quantized

        return load_quantized(place.path)
    if place.kind == "folder":
        from groundup.weights.huggingface import load_huggingface

        return load_huggingface(place.path)
    from groundup.finetuning.runs import is_finetuned

    if is_finetuned(place.path):
        from groundup.finetuning.tuned import open_writer

        return open_writer(place.path, open_base=open_model)
    from groundup.training.trained import load_run, opening_ids
    from groundup.weights.pretrained import Pretrained

    loaded = load_run(place.path, device="cpu")
    return Pretrained(
        model=loaded.model,
        tokenizer=loaded.tokenizer,
        source=str(place.path),
        opening=lambda: opening_ids(loaded),
    )
