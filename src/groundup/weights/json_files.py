"""JSON objects in files beside a model's weights: read, or refused in one line."""

import json
from pathlib import Path
from typing import Any

from groundup.errors import InputError


def read_object(path: Path, *, missing_ok: bool = False) -> dict[str, Any]:
    """Return the JSON object in the file `path`; with `missing_ok`, {} where there is none.

    Raises:
        InputError: no such file, no UTF-8, no JSON, or no object.

    Example:
        >>> read_object(Path("/no/such/file.json"), missing_ok=True)
        {}
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if missing_ok:
            return {}
        raise InputError(f"expected {path.name} in {path.parent}, found none: name a folder with a model") from None
    except OSError as error:
        raise InputError(f"expected to read {path}, found: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"expected JSON in {path}, found: {error}; copy or download it again") from None
    if not isinstance(value, dict):
        raise InputError(f"expected a JSON object in {path}, found {str(value)[:80]!r}: copy or download it again")
    return value
