"""The checkpoints of a run as a person wants to see them: step, validation loss, size, and what is special."""

import json
from dataclasses import dataclass

from groundup.errors import InputError
from groundup.training.run_folder import Run
from groundup.weights.manifest import verify_manifest
from groundup.weights.marks import is_marked


@dataclass(frozen=True, kw_only=True)
class Listed:
    """One checkpoint."""

    name: str
    """Of its folder."""
    loss: float | None
    """Validation loss in nats per token. None: not evaluated at this step, or damaged."""
    n_bytes: int
    """Size of its files."""
    remarks: tuple[str, ...]
    """best, marked, damaged and how."""


def list_checkpoints(run: Run) -> list[Listed]:
    """Return what `run` has, by step, after reading all of it: damage is found and named; then what was set aside.

    Example: see `format_checkpoints`.
    """
    names = [run.checkpoint(step).name for step in run.checkpoint_steps()]
    set_aside = sorted(path.name for path in run.checkpoints.glob("step-*.damaged*"))
    try:
        best = run.best
    except InputError:
        best = None
    return [_listed(run, name, is_best=best is not None and name == f"step-{best.step}") for name in names + set_aside]


def format_checkpoints(listed: list[Listed]) -> str:
    """Return a table.

    Example:
        >>> print(format_checkpoints([
        ...     Listed(name="step-500", loss=1.93214, n_bytes=9_800_000, remarks=("best", "marked")),
        ...     Listed(name="step-750", loss=None, n_bytes=9_800_000, remarks=()),
        ... ]))
        checkpoint  validation loss     size
        step-500             1.9321   9.8 MB  best, marked
        step-750                  -   9.8 MB
    """
    width = max(len("checkpoint"), *(len(one.name) for one in listed))
    rows = [f"{'checkpoint':<{width}}  validation loss     size"]
    for one in listed:
        loss = "-" if one.loss is None else f"{one.loss:.4f}"
        size = f"{one.n_bytes / 1e6:.1f} MB"
        rows.append(f"{one.name:<{width}}  {loss:>15}  {size:>7}  {', '.join(one.remarks)}".rstrip())
    return "\n".join(rows)


def _listed(run: Run, name: str, *, is_best: bool) -> Listed:
    folder = run.checkpoints / name
    remarks, loss = ["best"] * is_best + ["marked"] * is_marked(folder), None
    if name.partition(".")[2]:
        remarks.append("set aside by groundup resume; remove it when you like")
    else:
        try:
            verify_manifest(folder, only=("model", "optimizer", "training"))
            told = json.loads((folder / "training.json").read_text(encoding="utf-8"))
            loss = told["metrics"]["loss"] if told["evaluated_at"] == told["step"] else None
        except InputError as error:
            remarks.append(f"damaged: {error}")
        except (OSError, ValueError, KeyError, TypeError):
            remarks.append("of another task or version")
    n_bytes = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    return Listed(name=name, loss=loss, n_bytes=n_bytes, remarks=tuple(remarks))
