"""A run is a folder: what lies where in it, how it begins, and how it is opened again."""

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from groundup.configs.codec import from_dict, to_dict, to_json
from groundup.configs.run_tasks import run_task, use_of
from groundup.errors import InputError

C = TypeVar("C")


@dataclass(frozen=True, kw_only=True)
class Best:
    """The checkpoint with the lowest validation loss."""

    step: int
    """Optimizer steps behind it."""
    metrics: dict[str, float]
    """Its validation figures."""


@dataclass(frozen=True)
class Run:
    """The folder of one run.

    Example:
        >>> import tempfile
        >>> from groundup.configs import RunConfig
        >>> run = Run.create(Path(tempfile.mkdtemp()) / "mine", RunConfig())
        >>> Run.open(run.path).read_config(RunConfig) == RunConfig()
        True
    """

    path: Path
    """The folder."""
    config: dict[str, Any]
    """What config.json says."""

    @classmethod
    def create(cls, path: Path, config: object) -> "Run":
        """Make the folder and write `config` (a dataclass) into it.

        Raises:
            InputError: the folder exists, or cannot be made. Nothing is overwritten, ever.
        """
        try:
            if path.exists():
                raise InputError(f"expected a new folder, found {path} in use: {_what_to_do_with(path)}")
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
            shutil.rmtree(partial, ignore_errors=True)  # of a process that was killed and had the same number
            partial.mkdir()
            try:
                write_atomically(partial / "config.json", to_json(config))
                partial.rename(path)
            except BaseException:
                shutil.rmtree(partial, ignore_errors=True)
                raise
        except OSError as error:
            raise InputError(
                f"expected to make a folder at {path}, found: {error.strerror}; choose another place"
            ) from None
        return cls(path, to_dict(config))

    @classmethod
    def open(cls, path: Path, *, begun_by: str = "groundup train") -> "Run":
        """Open a run that `create` began, for `begun_by`, a command.

        Raises:
            InputError: no such folder, or not a run.
        """
        try:
            is_folder = path.is_dir()
        except OSError:  # a name that is too long, a folder that may not be looked into
            is_folder = False
        if not is_folder:
            raise InputError(f"expected the folder of a run, found nothing at {path}: {begun_by} begins one")
        try:
            config = json.loads((path / "config.json").read_text(encoding="utf-8"))
        except OSError:
            raise InputError(
                f"expected a run, found no readable config.json in {path}: {_where_one_is(path)}"
            ) from None
        except (ValueError, RecursionError):
            raise InputError(
                f"expected {path / 'config.json'} to hold JSON, found something else: it is damaged"
            ) from None
        if not isinstance(config, dict):
            raise InputError(
                f"expected {path / 'config.json'} to hold an object, found {config!r}: name another folder"
            )
        return cls(path, config)

    def read_config(self, cls: type[C]) -> C:
        """Return config.json as a `cls`.

        Raises:
            InputError: naming the file and the field, when it was written by another version or for another task.
        """
        task = self.config.get("task")
        wanted = getattr(cls, "task", None)  # of a dataclass, the field's default
        if task != wanted:
            raise InputError(
                f"expected a run of {run_task(wanted).model}, found {self.path}, of {run_task(task).model}: "
                f"{use_of(task, self.path)} uses it, groundup report {self.path} shows what it reached"
            )
        try:
            return from_dict(cls, self.config)
        except InputError as error:
            raise InputError(f"{self.path / 'config.json'} is of another version: {error}") from None

    @property
    def tokenizer(self) -> Path:
        """The run's own copy of its tokenizer."""
        return self.path / "tokenizer.json"

    @property
    def tokens(self) -> Path:
        """Token files of the run's text."""
        return self.path / "tokens"

    @property
    def metrics(self) -> Path:
        """One JSON object a line: what was measured at each step."""
        return self.path / "metrics.jsonl"

    @property
    def health(self) -> Path:
        """What the monitor said, one JSON object a line; there when it had anything to say."""
        return self.path / "health.jsonl"

    @property
    def loss_curve(self) -> Path:
        """The picture of metrics.jsonl."""
        return self.path / "loss.png"

    @property
    def samples(self) -> Path:
        """What the model made during training, a file for each time."""
        return self.path / "samples"

    @property
    def checkpoints(self) -> Path:
        """Folders step-N."""
        return self.path / "checkpoints"

    def checkpoint(self, step: int) -> Path:
        """Return the folder of the checkpoint after `step` steps, whether it exists or not."""
        return self.checkpoints / f"step-{step}"

    def checkpoint_steps(self) -> list[int]:
        """Return the steps that have a checkpoint folder, damaged or not, in order."""
        names = (folder.name.removeprefix("step-") for folder in self.checkpoints.glob("step-*"))
        return sorted(int(name) for name in names if name.isdecimal())

    @property
    def history(self) -> Path:
        """One JSON object a line: changes to the config of a run that went on."""
        return self.path / "history.jsonl"

    @property
    def best(self) -> Best | None:
        """What best.json says, or None when nothing was marked or its checkpoint is gone.

        Raises:
            InputError: it is damaged.
        """
        path = self.path / "best.json"
        try:
            told = unsealed(path.read_text(encoding="utf-8"), strict=False)
            best = Best(step=int(told["step"]), metrics=dict(told["metrics"]))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            found = error.strerror if isinstance(error, OSError) else "something else"
            raise InputError(
                f"expected {path} as it was written, found {found}: groundup resume writes it anew"
            ) from None
        return best if self.checkpoint(best.step).is_dir() else None

    def mark_best(self, step: int, metrics: dict[str, float]) -> None:
        """Write best.json: the checkpoint of `step` has the lowest validation loss so far."""
        write_atomically(self.path / "best.json", sealed({"step": step, "metrics": metrics}))


def _where_one_is(path: Path) -> str:
    """Return what to do where `path` is no run: name the one around it, or in a folder of stamped ones the newest."""
    around = next((one for one in path.absolute().parents[:2] if (one / "config.json").is_file()), None)
    if around is not None:
        return f"the run is {around}"
    inside = sorted(one.parent for one in path.glob("????-??-??_??-??-??/config.json"))
    return f"the last run in it is {inside[-1]}" if inside else "name the folder of a run"


def stamped(folder: Path, now: datetime) -> Path:
    """Return a folder in `folder` that is named by date and time: `tensorboard --logdir` shows all such as one list.

    Example:
        >>> stamped(Path("runs/mnist-cnn"), datetime(2026, 11, 22, 8, 15, 7)).as_posix()
        'runs/mnist-cnn/2026-11-22_08-15-07'
    """
    return folder / f"{now:%Y-%m-%d_%H-%M-%S}"


def sealed(record: dict[str, Any]) -> str:
    r"""Return `record` as a line of JSON that carries a checksum of itself; `unsealed` reads it.

    Example:
        >>> sealed({"step": 5})
        '{"step": 5, "checksum": "aef7da4b"}\n'
        >>> unsealed('{"step": 5, "checksum": "aef7da4b"}')
        {'step': 5}
    """
    return json.dumps({**record, "checksum": _checksum(record)}, ensure_ascii=False) + "\n"


def unsealed(text: str, *, strict: bool = True) -> dict[str, Any]:
    """Return the record that `sealed` wrote.

    Raises:
        ValueError: it is something else by now. Without a checksum too, unless not `strict`.
    """
    try:
        record = json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(record, dict):
        raise ValueError("not an object")
    if not strict and "checksum" not in record:
        return record
    if record.pop("checksum", None) != _checksum(record):
        raise ValueError("other bytes")
    return record


def _checksum(record: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()[:8]


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that whoever reads it finds the old text or the new one, never a part."""
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def _what_to_do_with(path: Path) -> str:
    if (path / "config.json").is_file():
        return f"go on with it by groundup resume {path}, or give another name with --out"
    return "give another name with --out"
