"""Where a run stands before anything is built for it: whether it can be changed there, and what is left to do."""

from typing import Any

from groundup.configs.run import RunConfig
from groundup.errors import InputError
from groundup.training.changes import Changes, earlier_configs
from groundup.training.early_stopping import EarlyStopping
from groundup.training.loop import Outcome
from groundup.training.run_folder import Best, Run
from groundup.training.state import PARTS, read_training
from groundup.weights.checkpoint import load_checkpoint, newest_checkpoint, prune_checkpoints


def check_place(run: Run, changes: Changes, after: RunConfig) -> int | None:
    """Refuse changes to a run that is past them; return the step that it goes on from, None if that cannot be known.

    Args:
        run: with the config that it has now.
        changes: from that config to `after`.
        after: the config to go on with.

    Raises:
        InputError: fewer steps or less patience than it has had, or a checkpoint of another config.
    """
    newest = newest_checkpoint(run.checkpoints, only=PARTS) if changes else None
    if newest is None:
        return None if run.checkpoint_steps() else 0  # all are damaged: `fit` will say so
    told = read_training(
        load_checkpoint(newest, only=("training",)), newest, config=run.config, earlier=lambda: earlier_configs(run)
    )
    step, patience = int(told["step"]), after.training.evaluation.patience
    if after.training.steps <= step:
        raise InputError(
            f"expected training.steps above the {step} that {run.path} has taken, found {after.training.steps}: "
            "raise it, nothing is left to change"
        )
    if patience is not None and told["stopping"]["n_since_best"] >= patience:
        raise InputError(
            f"expected training.evaluation.patience above the {told['stopping']['n_since_best']} evaluations "
            f"without a new best that ended {run.path}, found {patience}: raise it"
        )
    return step


def ended(run: Run, config: RunConfig) -> Outcome | None:
    """Return how a run ended, if all of it is there; None where anything is left to do, to write or to mend.

    Nothing is written; what a process that was killed in its last save has left is removed.

    Raises:
        InputError: a checkpoint of another config.
    """
    newest = newest_checkpoint(run.checkpoints, only=("training",))
    if newest is None:
        return None
    told = read_training(
        load_checkpoint(newest, only=("training",)), newest, config=run.config, earlier=lambda: earlier_configs(run)
    )
    training, stopping = config.training, EarlyStopping(config.training.evaluation.patience)
    stopping.restore(told["stopping"])
    is_over = told["step"] >= training.steps or stopping.is_exhausted
    if not is_over or told["evaluated_at"] < told["step"] or not run.loss_curve.exists() or not run.metrics.exists():
        return None
    if not _is_best_marked(run, told) or newest_checkpoint(run.checkpoints, only=PARTS) != newest:
        return None
    best = stopping.best_step
    keep = () if best is None else (run.checkpoint(best).name,)
    prune_checkpoints(run.checkpoints, keep_last=training.checkpoints.keep_last, keep=keep)
    return Outcome(
        run=run,
        step=told["step"],
        n_steps=training.steps,
        metrics=told["metrics"] if training.evaluation.patience is None else told["best_metrics"],
        best_step=best,
        best_loss=stopping.best_loss,
        seconds=told["seconds"],
        skipped=told.get("skipped", 0),
        stopped_early=told["step"] < training.steps,
        was_over=True,
    )


def _is_best_marked(run: Run, told: dict[str, Any]) -> bool:
    step = told["stopping"]["best_step"]
    if step is None or not run.checkpoint(step).is_dir():
        return True
    try:
        return run.best == Best(step=step, metrics=told["best_metrics"])
    except InputError:  # damaged: written anew
        return False
