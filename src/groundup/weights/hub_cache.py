"""Where the Hugging Face hub's cache keeps a model on this machine, looked up without its library."""

import os
from pathlib import Path


def cached_folder(hub_id: str) -> Path | None:
    """Return the folder of the newest version of `hub_id` in the cache, or None where there is none with weights.

    The cache is laid out as its documentation says: models--OWNER--NAME/refs/main names the version, and
    snapshots/VERSION holds its files. It lies in HF_HUB_CACHE, else HF_HOME/hub, else ~/.cache/huggingface/hub.

    Example:
        >>> cached_folder("nobody/no-such-model") is None
        True
    """
    home = Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface")
    cache = Path(os.environ.get("HF_HUB_CACHE") or home / "hub")
    repository = cache.expanduser() / f"models--{hub_id.replace('/', '--')}"
    try:
        version = (repository / "refs" / "main").read_text(encoding="utf-8").strip()
        folder = repository / "snapshots" / version
        has_weights = any(file.suffix in (".safetensors", ".bin") for file in folder.iterdir())
    except (OSError, UnicodeDecodeError):
        return None
    return folder if has_weights else None
