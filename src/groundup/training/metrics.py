"""metrics.jsonl: one JSON object a line, each step of each kind once, however often a run was interrupted."""

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any, Literal

from groundup.errors import InputError
from groundup.training.run_folder import write_atomically

Kind = Literal["train", "validation"]
"""What a line reports on."""


class MetricsLog:
    """Appends records to a file; each outlives this process when `write` returns, and a power cut after `sync`.

    Args:
        path: the file; made when missing.
        step: records of later steps are dropped: the run goes on from here and will write them again.
        evaluated_at: as `step`, for validation records.
    """

    def __init__(self, path: Path, *, step: int, evaluated_at: int) -> None:
        if not is_as_written(path, step=step, evaluated_at=evaluated_at):
            write_atomically(path, _kept(path, step, evaluated_at))
        self._file = path.open("a", encoding="utf-8")

    def write(self, kind: Kind, step: int, figures: dict[str, float]) -> None:
        """Append one record."""
        self._file.write(_line({"kind": kind, "step": step, **figures}))
        self._file.flush()

    def sync(self) -> None:
        """Force what was written to disk: a checkpoint that survives a power cut relies on the lines before it."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def is_as_written(path: Path, *, step: int, evaluated_at: int) -> bool:
    """Tell whether a file holds nothing but records up to here, each step of each kind once, in order."""
    try:
        return path.read_text(encoding="utf-8", errors="replace") == _kept(path, step, evaluated_at)
    except FileNotFoundError:
        return False


def read_metrics(path: Path) -> list[dict[str, Any]]:
    r"""Return the records of a metrics.jsonl in order; none when there is no file.

    A process that is killed may leave half a line: lines that are no record are left out.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "metrics.jsonl"
        >>> _ = path.write_text('{"kind": "train", "step": 1, "loss": 4.2}\n{"kind": "tr')
        >>> read_metrics(path)
        [{'kind': 'train', 'step': 1, 'loss': 4.2}]
    """
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    return [record for record in map(_parse, lines) if record is not None]


def set_damaged_lines_aside(path: Path) -> str:
    r"""Copy a metrics.jsonl that holds lines which are no records, and say so, or return "".

    A session that goes on writes the file anew without them. A half line at the end, of a process that was killed or
    of a full disk, is no damage.

    Raises:
        InputError: the file cannot be read or copied.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "metrics.jsonl"
        >>> _ = path.write_text('{"kind": "train", "step": 1, "loss": 4.2}\nxx\n{"kind": "tr')
        >>> set_damaged_lines_aside(path).replace(str(path.parent), "runs/mine")
        'runs/mine/metrics.jsonl has 1 damaged line, which is left out; a copy is metrics.jsonl.damaged'
    """
    if not path.exists():
        return ""
    try:
        whole = path.read_text(encoding="utf-8", errors="replace").split("\n")[:-1]
        if not (n_damaged := sum(_parse(line) is None for line in whole)):
            return ""
        copy = shutil.copyfile(path, path.with_name(f"{path.name}.damaged"))
    except OSError as error:
        raise InputError(
            f"expected to read {path}, found: {error.strerror or error}; move it away to go on without earlier records"
        ) from None
    lines = "1 damaged line, which is" if n_damaged == 1 else f"{n_damaged} damaged lines, which are"
    return f"{path} has {lines} left out; a copy is {copy.name}"


def _kept(path: Path, step: int, evaluated_at: int) -> str:
    """Return the lines of a file up to here, in order; of two of one kind for one step the later."""
    last = {"train": step, "validation": evaluated_at}
    kept = {(record["kind"], record["step"]): record for record in read_metrics(path)}
    in_order = sorted(kept.values(), key=lambda record: int(record["step"]))  # stable: training before validation
    return "".join(_line(record) for record in in_order if record["step"] <= last[record["kind"]])


def _line(record: dict[str, Any]) -> str:
    return json.dumps(record, allow_nan=False) + "\n"


def _parse(line: str) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or record.get("kind") not in ("train", "validation"):
        return None
    is_record = type(record.get("step")) is int and "loss" in record
    return record if is_record and all(_is_figure(record[name]) for name in record if name != "kind") else None


def _is_figure(value: object) -> bool:
    """Tell whether `value` is a number that a float can hold: neither NaN, nor infinite, nor a boolean."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
