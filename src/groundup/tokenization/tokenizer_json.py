"""Hugging Face's `tokenizer.json` as a file: read and checked, written whole or not at all."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from groundup.errors import InputError


def read(path: Path) -> dict[str, Any]:
    """Return the document in the file `path`, with a model and its vocabulary inside.

    Raises:
        InputError: no such file, not JSON, or JSON of something else.
    """
    document = read_json(path)
    if not _is_well_formed(document):
        raise InputError(
            f'expected a tokenizer.json with "model" and "vocab" in {path}, found other JSON: name another'
        )
    return document  # type: ignore[no-any-return]


def _is_well_formed(document: Any) -> bool:  # noqa: ANN401 - this is what finds out
    if not isinstance(document, dict) or not isinstance(document.get("model"), dict):
        return False
    vocabulary, added = document["model"].get("vocab"), document.get("added_tokens") or []
    return (
        all(isinstance(document.get(part) or {}, dict) for part in ("pre_tokenizer", "decoder", "normalizer"))
        and (isinstance(vocabulary, list) or _numbers_tokens(vocabulary))  # Unigram models have a list
        and isinstance(added, list)
        and all(isinstance(token, dict) and _numbers_tokens({token.get("content"): token.get("id")}) for token in added)
    )


def _numbers_tokens(vocabulary: object) -> bool:
    return isinstance(vocabulary, dict) and all(
        isinstance(name, str) and isinstance(token, int) for name, token in vocabulary.items()
    )


def read_json(path: Path) -> Any:  # noqa: ANN401 - the caller checks what it needs
    """Return the JSON value in the file `path`.

    Raises:
        InputError: no such file, or not JSON.
    """
    return json_value(read_text(path), path)


def json_value(text: str, path: Path) -> Any:  # noqa: ANN401 - the caller checks what it needs
    """Return the JSON value that `text`, the content of `path`, spells.

    Raises:
        InputError: naming the line where the text stops being JSON.
    """
    try:
        return json.loads(text)
    except ValueError as error:
        raise InputError(f"expected JSON in {path}, found a damaged file ({error}): copy or write it again") from None


def read_text(path: Path) -> str:
    """Return the UTF-8 text in the file `path`.

    Raises:
        InputError: no such file, not readable, or not UTF-8.
    """
    try:
        return Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"expected a tokenizer file at {path}, found nothing: check the path") from None
    except UnicodeDecodeError as error:
        raise InputError(f"expected UTF-8 in {path}, found another byte at {error.start}: copy it again") from None
    except OSError as error:
        raise InputError(f"expected a readable file at {path}, found: {error.strerror}: check the path") from None


def write(
    path: Path,
    *,
    model: Mapping[str, Any],
    pre_tokenizer: Mapping[str, Any],
    decoder: Mapping[str, Any],
    special_tokens: Mapping[str, int] | None = None,
) -> None:
    """Write a `tokenizer.json` that the `tokenizers` library reads. Parents of `path` are made."""
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    document = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": token, "content": name, **plain} for name, token in (special_tokens or {}).items()],
        "normalizer": None,
        "pre_tokenizer": pre_tokenizer,
        "post_processor": None,
        "decoder": decoder,
        "model": model,
    }
    write_text(path, json.dumps(document, ensure_ascii=False, indent=1))


def write_text(path: Path, text: str) -> None:
    """Write `text` to a file beside `path`, then rename it: whoever reads `path` sees the old text or the new one."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
