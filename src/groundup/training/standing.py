"""Where a run stands before a session of it: whether it can be changed there, and whether all it has made is there."""

from groundup.configs.run import Configured
from groundup.errors import InputError
from groundup.training.changes import Changes, earlier_configs
from groundup.training.metrics import is_as_written
from groundup.training.run_folder import Best, Run
from groundup.training.state import PARTS, TrainingState, read_training
from groundup.weights.checkpoint import load_checkpoint, newest_checkpoint


def check_place(run: Run, changes: Changes, after: Configured) -> int | None:
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


def is_all_there(run: Run, state: TrainingState) -> bool:
    """Tell whether a run's records are what a session that begins and ends at `state` would leave.

    Args:
        run: at its newest intact checkpoint.
        state: what that says.
    """
    return run.loss_curve.exists() and is_as_written(run.metrics, step=state.step, evaluated_at=state.evaluated_at)


def is_best_marked(run: Run, state: TrainingState) -> bool:
    """Tell whether best.json names the best checkpoint of `state`, where that is still there."""
    step = state.stopping.best_step
    if step is None or not run.checkpoint(step).is_dir():
        return True
    try:
        return run.best == Best(step=step, metrics=state.best_metrics)
    except InputError:  # damaged: written anew
        return False
