"""Models from the Hugging Face hub by id: what its cache holds first, then the network."""

import re
from dataclasses import replace
from pathlib import Path
from types import ModuleType

from groundup.errors import InputError
from groundup.weights.huggingface import load_huggingface
from groundup.weights.json_files import read_object
from groundup.weights.pretrained import Pretrained
from groundup.weights.tensor_files import NAMES

_ID = re.compile(r"(?:[\w.-]+/)?[\w.-]+")
_FILES = ["*.json", "*.jinja", "*.safetensors", "README.md", "merges.txt"]
_NOT = ["*/*", "consolidated*"]  # other formats, and Mistral's second copy of the weights


def load_hub(name: str) -> Pretrained:
    """Load the model `name` from the hub's cache on this machine, else download it there.

    Needs the package huggingface_hub, which is the extra `hf`. Where that keeps its cache, and with which token it
    asks for models that are not open to all, are its own settings (HF_HOME, `hf auth login`).

    Args:
        name: OWNER/NAME, or an old id without owner, such as gpt2.

    Raises:
        InputError: no such id, no network and nothing in the cache, or a model that `load_huggingface` refuses.
    """
    if not _ID.fullmatch(name) or ".." in name:
        raise InputError(f"expected an id OWNER/NAME on the Hugging Face hub, found {name!r}")
    folder = _in_cache(name) or _download(name)
    return replace(load_huggingface(folder), source=name)


def _in_cache(name: str) -> Path | None:
    """Return the folder of the cache, or None where a part of the model is missing in it."""
    try:
        folder = _snapshot(name, local=True)
    except (OSError, ValueError):  # the library's for: not there
        return None
    return folder if (folder / "config.json").exists() and _has_weights(folder) else None


def _download(name: str) -> Path:
    try:
        return _snapshot(name, local=False)
    except InputError:
        raise
    except Exception as error:  # of the library, of its HTTP client and of the system: no common parent
        reason = " ".join(str(error).split())
        reason = f"{type(error).__name__}: {reason[:120]}{'…' if len(reason) > 120 else ''}"
        raise InputError(
            f"expected {name} in the Hugging Face cache or on the hub, found neither ({reason}): where there is a "
            f"network, run `hf download {name} --local-dir FOLDER`, and give that folder instead"
        ) from None


def _snapshot(name: str, *, local: bool) -> Path:
    hub = _library()
    chosen = {"ignore_patterns": _NOT, "local_files_only": local}
    folder = Path(hub.snapshot_download(name, allow_patterns=_FILES, **chosen))
    if not _has_weights(folder):  # the old format, only where there is no other
        folder = Path(hub.snapshot_download(name, allow_patterns=[*_FILES, "*.bin"], **chosen))
    return folder


def _has_weights(folder: Path) -> bool:
    for name in NAMES:
        index = folder / f"{name}.index.json"
        places = read_object(index, missing_ok=True).get("weight_map")
        parts = set(places.values()) if isinstance(places, dict) else {name}
        if all((folder / str(part)).exists() for part in parts):
            return True
    return False


def _library() -> ModuleType:
    try:
        import huggingface_hub
    except ImportError:
        raise InputError(
            "expected the package huggingface_hub to load a model by its id, found none: "
            "pip install 'groundup[hf]', or give a folder with the model"
        ) from None
    module: ModuleType = huggingface_hub
    return module
