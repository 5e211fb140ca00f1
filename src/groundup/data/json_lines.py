"""Files with one JSON object a line (.jsonl): read line by line, so that a mistake is found with its place."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from groundup.errors import InputError


def read_json_lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    r"""Yield (place, object) of each line; blank lines are passed over. A place reads "FILE line 7".

    Raises:
        InputError: a file that cannot be read or holds nothing, or a line that is no JSON object in UTF-8, with its
            number.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a.jsonl"
        >>> _ = path.write_text('{"n": 1}\n\n{"n": 2}\n')
        >>> [(place.rpartition("/")[2], found) for place, found in read_json_lines(path)]
        [('a.jsonl line 1', {'n': 1}), ('a.jsonl line 3', {'n': 2})]
    """
    is_empty = True
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                line = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line  # a byte order mark
                if line.strip():
                    is_empty = False
                    yield (place := f"{path} line {number:,}"), _object(line, place)
    except OSError as error:
        raise InputError(f"expected a .jsonl file at {path}, found: {error.strerror or error}: name another") from None
    if is_empty:
        raise InputError(f"expected a JSON object a line in {path}, found no line: name another file")


def _object(line: bytes, place: str) -> dict[str, Any]:
    try:
        found = json.loads(line.decode())
    except UnicodeDecodeError as error:
        said = f"a byte that is not UTF-8 (byte {error.start + 1:,})"
    except json.JSONDecodeError as error:
        said = f"none: {error.msg} (character {error.colno:,})"
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, a list in a list in a list …
        said = f"none: {error}"
    else:
        if isinstance(found, dict):
            return found
        said = f"a {type(found).__name__}"
    raise InputError(f"expected a JSON object in {place}, found {said}: correct or remove the line")
