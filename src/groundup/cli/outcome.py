"""What `train`, `finetune` and `resume` say when a run has ended."""

from groundup.configs.run_tasks import use_of
from groundup.training.loop import Outcome


def finish(outcome: Outcome) -> int:
    """Print how the run ended and what to do next; return the exit code, 130 after Ctrl-C."""
    if outcome.interrupted:  # the loop has said where it saved, and how to go on
        return 130
    figures = ", ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in outcome.metrics.items())
    path = outcome.run.path
    nexts = dict.fromkeys((use_of(outcome.run.config.get("task"), path), f"groundup evaluate {path}"))
    what_next = "next: " + "\n      ".join(nexts)
    if outcome.was_over:
        print(_nothing_left(outcome, figures))
        print(what_next)
        return 0
    print(f"done in {outcome.seconds:,.0f} s after {outcome.step:,} steps{_early(outcome)}: {figures}")
    print(f"loss curve: {outcome.run.loss_curve}\n{what_next}")
    return 0


def finish_tuned(outcome: Outcome) -> int:
    """Print where a fine-tuning run ended and what to do next; return the exit code, 130 after Ctrl-C."""
    if outcome.interrupted:
        return 130
    path, task = outcome.run.path, outcome.run.config["task"]
    if outcome.was_over:
        best = "" if outcome.best_loss is None else f"best validation loss {outcome.best_loss:.4f}"
        print(_nothing_left(outcome, best))
    else:
        print(f"done in {outcome.seconds:,.0f} s after {outcome.step:,} steps{_early(outcome)}: {path}")
    base = outcome.run.config["base"]
    again = f"groundup report {path}" if task == "classify" else f"groundup compare {base} {path} --prompts FILE"
    print(f"next: {use_of(task, path)}\n      {again}")
    return 0


def _nothing_left(outcome: Outcome, figures: str) -> str:
    option = "--training.evaluation.patience" if outcome.stopped_early else "--training.steps"
    above = "its own" if outcome.stopped_early else f"{outcome.n_steps}"
    path = outcome.run.path
    return (
        f"nothing is left to do: {path} ended at step {outcome.step:,}{_early(outcome)}: {figures}\n"
        f"to go on all the same: groundup resume {path} {option} N, with N above {above}"
    )


def _early(outcome: Outcome) -> str:
    return f" (stopped early; best weights are of step {outcome.best_step})" if outcome.stopped_early else ""
