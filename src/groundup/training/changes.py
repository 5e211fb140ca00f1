"""Changes to the config of a run that goes on: which are possible, how they are stated, and where they are recorded."""

import copy
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from groundup.configs.codec import to_dict
from groundup.configs.run import Configured
from groundup.errors import InputError
from groundup.training.run_folder import Run, sealed, unsealed, write_atomically
from groundup.training.schedules import learning_rate

Changes = Mapping[str, tuple[object, object]]
"""By the path of a field ("training.steps"): its old and its new value, as JSON has them."""

FIXED = {
    "data": "the run's tokens are made",
    "model": "its weights are of this model",
    "base": "its weights began as those of this model",
    "head": "it is part of what was trained",
    "tuning": "its checkpoints hold what learned until now",
    "context_length": "its text is cut that way",
    "masking": "it decides what is hidden",
    "augment": "it decides how the images were varied so far",
    "mixup": "it is part of the loss so far",
    "beta": "it is part of the loss so far",
    "label_smoothing": "it is part of the loss so far",
    "training.seed": "it decided the order of the text so far",
    "training.optimizer.name": "its checkpoints hold the memory of this optimizer",
}
"""What cannot change, by the beginning of its path, and why."""
_NO_EFFECT = ("training.log_every", "training.checkpoints.", "training.evaluation.", "training.health.watch_every")
_OPEN = {"training.precision": "auto", "training.compute.threads": None, "training.compute.linear": "auto"}
_LAST_BITS = ("training.batch_size", "training.accumulation_steps", "training.device", "training.compute.")


def find_changes(before: Configured, after: Configured) -> dict[str, tuple[object, object]]:
    """Return every field in which two configs differ.

    Example:
        >>> from groundup.configs import RunConfig, TrainConfig
        >>> find_changes(RunConfig(), RunConfig(training=TrainConfig(steps=4_000)))
        {'training.steps': (2000, 4000)}
    """
    old, new = _flat(to_dict(before)), _flat(to_dict(after))
    return {path: (old[path], new[path]) for path in old if old[path] != new[path]}


def check_changes(changes: Changes, after: Configured) -> None:
    """Refuse what a run that has begun cannot change.

    batch_size may be traded for accumulation_steps, as when memory is short: step N begins in the text after N times
    their product, so with another product some text would come twice and some never.

    Raises:
        InputError: naming the field, its values and the reason.
    """
    for path, (old, new) in changes.items():
        for beginning, reason in FIXED.items():
            if path == beginning or path.startswith(f"{beginning}."):
                raise InputError(f"expected {path} to stay {old!r}, found {new!r}: {reason}; start a new run")
    sizes = [
        changes.get(f"training.{name}", (getattr(after.training, name),))[0]
        for name in ("batch_size", "accumulation_steps")
    ]
    if sizes[0] * sizes[1] != after.training.sequences_per_step:  # type: ignore[operator] # both are integers
        raise InputError(
            f"expected training.batch_size * training.accumulation_steps to stay {sizes[0]} * {sizes[1]}, found "
            f"{after.training.batch_size} * {after.training.accumulation_steps}: the place in the text follows from "
            "it, so some would come twice; keep the product or start a new run"
        )


def check_options(arguments: Sequence[str]) -> None:
    """Refuse command-line options for what a run that has begun cannot change at all.

    Raises:
        InputError: naming the option and the reason.

    Example:
        >>> check_options(["runs/mine", "--model.d-model", "256"])
        Traceback (most recent call last):
        groundup.errors.InputError: expected options of --training, found --model.d-model, which cannot change: its weights are of this model; start a new run
    """  # noqa: E501 - the message is shown whole
    for option in arguments:
        room = option.removeprefix("--").partition(".")[0]
        if option.startswith(f"--{room}.") and room in FIXED:
            raise InputError(
                f"expected options of --training, found {option.partition('=')[0]}, which cannot change: "
                f"{FIXED[room]}; start a new run"
            )


def reopens(changes: Changes) -> bool:
    """Tell whether something about how to compute, which was given, is now left open: it is measured anew then.

    Example:
        >>> reopens({"training.precision": ("float32", "auto")}), reopens({"training.precision": ("auto", "float32")})
        (True, False)
    """
    return any(path in _OPEN and new == _OPEN[path] for path, (_, new) in changes.items())


def describe_changes(changes: Changes, before: Configured, after: Configured, *, step: int) -> str:
    """Return one line: what changes from `step` on, and what follows for the learning rate and the results.

    Example:
        >>> from groundup.configs import RunConfig, TrainConfig
        >>> before, after = RunConfig(), RunConfig(training=TrainConfig(steps=4_000, log_every=5))
        >>> describe_changes(find_changes(before, after), before, after, step=500)
        'changed at step 500: steps 2000 -> 4000, log_every 10 -> 5; the next learning rate is 0.0009767 instead of 0.0009047'
    """  # noqa: E501 - the line is shown whole
    told = [f"{path.removeprefix('training.')} {_word(old)} -> {_word(new)}" for path, (old, new) in changes.items()]
    line = f"changed at step {step}: {', '.join(told)}"
    rates = [learning_rate(step, config.training) for config in (before, after)]
    if rates[0] != rates[1]:
        line += f"; the next learning rate is {rates[1]:.4g} instead of {rates[0]:.4g}"
    if reopens(changes):
        line += "; how to compute is measured anew"
    steering = "training.evaluation.patience"  # it decides where the run ends, and so which weights are the last
    if all(path.startswith(_NO_EFFECT) and path != steering for path in changes):
        line += "; the weights will be the same"
    elif all(path.startswith((*_NO_EFFECT, *_LAST_BITS)) and path != steering for path in changes):
        line += "; results may differ in the last bits"
    return line


def record_changes(run: Run, changes: Changes, *, step: int) -> Run:
    """Append the changes to history.jsonl, then put them into config.json; return the run with that config.

    In this order, a process that is killed in between leaves a record of what was never done, which is harmless; in the
    other, it would leave a config that nothing explains.

    Raises:
        InputError: the disk is full, or the place cannot be written. The run is as it was.
    """
    known = _flat(run.config)
    # A field that config.json lacks, because an earlier version wrote it, was null: `difference` takes both as equal.
    fields = {path: [known.get(path), new] for path, (_, new) in changes.items()}
    now = datetime.now().astimezone().isoformat(timespec="seconds")
    config = copy.deepcopy(run.config)
    for path, (_, new) in changes.items():
        _put(config, path, new)
    try:
        _append(run, {"step": step, "time": now, "changes": fields, **_compute(run)})
        write_atomically(run.path / "config.json", json.dumps(config, indent=2, ensure_ascii=False) + "\n")
    except OSError as error:
        raise InputError(
            f"expected to record changes in {run.path}, found: {error.strerror or error}; make room; nothing changed"
        ) from None
    return replace(run, config=config)


def earlier_configs(run: Run) -> list[dict[str, Any]]:
    """Return the configs that this run had before, newest first: config.json with the recorded changes undone.

    Raises:
        InputError: history.jsonl is damaged.
    """
    return [config for _, config in _undone(run)]


def config_at(run: Run, step: int) -> dict[str, Any]:
    """Return the config that the run had when it went on from `step`: config.json with later changes undone.

    Raises:
        InputError: history.jsonl is damaged.
    """
    config = run.config
    for changed_at, before in _undone(run):
        if changed_at["step"] <= step:
            break
        config = before
    return config


def compute_at(run: Run, step: int) -> dict[str, Any] | None:
    """Return what compute.json said when the run went on from `step`; None where it says so still, or nobody noted it.

    Raises:
        InputError: history.jsonl is damaged.
    """
    told: dict[str, Any] | None = None
    for record, _ in _undone(run):
        if record["step"] <= step:
            break
        told = record.get("compute")
    return told


def _undone(run: Run) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Undo the recorded changes one by one, the newest first: the record of each, and the config before it."""
    config = run.config
    for record in reversed(read_history(run)):
        flat = _flat(config)
        if all(flat.get(path) == new for path, (_, new) in record["changes"].items()):  # else it was never done
            config = copy.deepcopy(config)
            for path, (old, _) in record["changes"].items():
                _put(config, path, old)
            yield record, config


def read_history(run: Run) -> list[dict[str, Any]]:
    """Return the recorded changes, oldest first: {"step", "time", "changes": {path: [old, new]}}.

    A half line at the end, of a process that was killed, is left out.

    Raises:
        InputError: naming the line that is no record.
    """
    try:
        text = run.history.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise InputError(f"expected to read {run.history}, found: {error.strerror}; make it readable") from None
    records = []
    for number, line in enumerate(text.splitlines(keepends=True), 1):
        try:
            records.append(unsealed(line))
        except ValueError:
            if not line.endswith("\n"):
                break
            raise InputError(
                f"expected {run.history} as it was written, found line {number} damaged: restore it from a copy"
            ) from None
    return records


def _compute(run: Run) -> dict[str, object]:
    """Return how the run computed until now, for what the config left open is not in the config."""
    try:
        return {"compute": json.loads((run.path / "compute.json").read_text(encoding="utf-8"))}
    except (FileNotFoundError, ValueError, RecursionError):
        return {}


def _append(run: Run, record: dict[str, object]) -> None:
    with run.history.open("ab+") as file:
        file.seek(0)
        whole = file.read()
        file.truncate(whole.rfind(b"\n") + 1)  # a half line is of a process that was killed here
        file.write(sealed(record).encode())
        file.flush()
        os.fsync(file.fileno())


def difference(saved: dict[str, Any], current: dict[str, Any]) -> str:
    """Name the first field in which two configs differ, or return ""; a missing field is as good as null.

    Example:
        >>> difference({"model": {"d_model": 64}}, {"model": {"d_model": 128}})
        'model.d_model is 64 there and 128 in config.json'
    """
    old, new = _flat(saved), _flat(current)
    for path in [*old, *(path for path in new if path not in old)]:
        if old.get(path) != new.get(path):
            return f"{path} is {old.get(path)!r} there and {new.get(path)!r} in config.json"
    return ""


def _flat(config: dict[str, Any], where: str = "") -> dict[str, Any]:
    """Return the leaves of nested dicts by path."""
    leaves: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, dict):
            leaves.update(_flat(value, f"{where}{name}."))
        else:
            leaves[f"{where}{name}"] = value
    return leaves


def _put(config: dict[str, Any], path: str, value: object) -> None:
    *parts, name = path.split(".")
    for part in parts:
        config = config.setdefault(part, {})
    config[name] = value


def _word(value: object) -> str:
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
