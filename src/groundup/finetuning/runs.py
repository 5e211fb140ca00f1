"""Fine-tuning runs on disk: which kind a folder holds, and which base it was begun with."""

import json
from pathlib import Path

from groundup.configs.finetune_runs import ChatConfig, ClassifyConfig, PreferConfig, TextConfig
from groundup.configs.run_tasks import RUN_TASKS
from groundup.errors import InputError
from groundup.finetuning.base import base_fingerprint
from groundup.training.run_folder import Run, write_atomically
from groundup.training.same_data import refuse_lost
from groundup.weights.pretrained import Pretrained

FinetuneConfig = ClassifyConfig | TextConfig | ChatConfig | PreferConfig
"""The config of any fine-tuning run."""
KINDS: dict[str, type[FinetuneConfig]] = {
    "classify": ClassifyConfig,
    "text": TextConfig,
    "chat": ChatConfig,
    "prefer": PreferConfig,
}
"""By their field `task`."""


def kind_of(run: Run) -> type[FinetuneConfig] | None:
    """Return the kind of config that a run has; None: it began with random weights.

    Raises:
        InputError: a task that this version does not know.
    """
    task = run.config.get("task")
    if task not in RUN_TASKS:
        known = ", ".join(name for name in RUN_TASKS if name)
        raise InputError(
            f"expected {run.path / 'config.json'} to name a task, {known}, found {task!r}: it is of another version"
        )
    return None if task is None else KINDS.get(task)


def is_finetuned(path: Path) -> bool:
    """Tell whether a folder holds a fine-tuning run."""
    try:
        return kind_of(Run.open(path)) is not None
    except InputError:
        return False


def check_base(run: Run, base: Pretrained, name: str) -> None:
    """Write down in base.json which model a run begins with; once it has learned something, refuse another one.

    Raises:
        InputError: the weights that `name` gives now are not those that the run began with, or nobody can tell.
    """
    path, found = run.path / "base.json", base_fingerprint(base.model)
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        told, source = document.get("fingerprint"), document.get("source")
    except FileNotFoundError:
        refuse_lost(run, path)
        write_atomically(path, json.dumps({"name": name, "source": base.source, "fingerprint": found}, indent=2) + "\n")
        return
    except (OSError, ValueError, AttributeError):
        raise InputError(f"expected {path} as it was written, found something else: restore it from a copy") from None
    if told != found:
        came = f"; the first came from {source}" if source else ""  # earlier versions did not write it down
        raise InputError(
            f"expected {name} to be the model that {run.path} began with, found other weights, from {base.source}"
            f"{came}: put that model back, its tuning fits no other"
        )
