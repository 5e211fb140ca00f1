"""health.jsonl: what the monitor said, one JSON object a line, each once, however often a run was interrupted."""

import json
from pathlib import Path
from typing import Any

from groundup.training.run_folder import write_atomically


class AdviceLog:
    """Appends advice to a file, which is made when there is any.

    Args:
        path: the file.
        step: advice on later steps is dropped: the run goes on from here and will give it again.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "health.jsonl"
        >>> AdviceLog(path, step=0).write({"step": 7, "text": "a spike"})
        >>> AdviceLog(path, step=5).write({"step": 6, "text": "all is well"})
        >>> read_advice(path)
        [{'step': 6, 'text': 'all is well'}]
    """

    def __init__(self, path: Path, *, step: int) -> None:
        self._path = path
        found = read_advice(path)
        kept = [advice for advice in found if advice["step"] <= step]
        if len(kept) < len(found):
            write_atomically(path, "".join(map(_line, kept)))

    def write(self, advice: dict[str, Any]) -> None:
        """Append one piece of advice, which has a step."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(_line(advice))


def read_advice(path: Path) -> list[dict[str, Any]]:
    """Return what a health.jsonl says, in order; lines that a killed process left half-written are left out."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    return [advice for advice in map(_parse, lines) if advice is not None]


def _line(advice: dict[str, Any]) -> str:
    return json.dumps(advice, ensure_ascii=False, allow_nan=False) + "\n"


def _parse(line: str) -> dict[str, Any] | None:
    try:
        advice = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return advice if isinstance(advice, dict) and type(advice.get("step")) is int else None
