"""What a run learns from is what it began with: its hash, written down at the start and compared ever after."""

import hashlib
import json
from pathlib import Path

from groundup.errors import InputError
from groundup.training.run_folder import Run, write_atomically


def same_data(run: Run, everything: object, **told: object) -> None:
    """Write down in data.json what the run learns from, by its hash, with what is `told` of it; later, refuse other.

    Raises:
        InputError: not what the run began with, or a damaged file.
    """
    path = run.path / "data.json"
    digest = hashlib.sha256(json.dumps(everything, ensure_ascii=False).encode()).hexdigest()
    try:
        before = json.loads(path.read_text(encoding="utf-8"))["sha256"]
    except FileNotFoundError:
        refuse_lost(run, path)
        write_atomically(path, json.dumps({"sha256": digest, **told}, indent=2, ensure_ascii=False) + "\n")
        return
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(f"expected {path} as it was written, found something else: restore it from a copy") from None
    if before != digest:
        raise InputError(
            f"expected the data that {run.path} began with, found others: put the file back as it was, or start anew"
        )


def refuse_lost(run: Run, path: Path) -> None:
    """Raise InputError if `path`, which is not there, was written before the checkpoints that are."""
    if run.checkpoint_steps():
        raise InputError(f"expected {path}, which says what {run.path} began with, found none: restore it from a copy")
