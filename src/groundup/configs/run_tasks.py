"""What runs learn, by the field `task` of their configs: in words, and which command uses what came of it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class RunTask:
    """One task, for people."""

    model: str
    """What the run's model is: behind "a run of"."""
    use: str
    """The command that uses it; RUN stands for the run's folder."""
    writes: bool = True
    """Whether it goes on with a text, so that every command that writes opens it."""
    counts: str = "tokens"
    """What it learns from, and is counted in."""
    per: str = "token"
    """What its loss is the mean over. Empty: not known."""


_WRITER = RunTask("a tuned language model", "groundup generate RUN")
RUN_TASKS: dict[str | None, RunTask] = {
    None: RunTask("a language model from scratch", "groundup generate RUN"),
    "translate": RunTask("a model that translates", 'groundup translate RUN "a text"', writes=False),
    "mask": RunTask("a model that fills gaps", 'groundup fill RUN "a text with a [MASK]"', writes=False),
    "images": RunTask("a model of images", "groundup evaluate RUN", writes=False, counts="images", per="image"),
    "distill": RunTask("a distilled language model", "groundup generate RUN"),
    "classify": RunTask("a tuned classifier", 'groundup classify RUN "a text"', writes=False, per="label"),
    "text": _WRITER,
    "chat": RunTask("a tuned language model", "groundup chat RUN"),
    "prefer": RunTask("a tuned language model", "groundup generate RUN", per="pair"),
}
"""None: the configs of language models, which were there first, name no task."""


def run_task(task: object) -> RunTask:
    """Return what a task is, one of another version too, or whatever a damaged config names.

    Example:
        >>> run_task("translate").model, run_task("paint").model
        ('a model that translates', "another version's task 'paint'")
    """
    known = RUN_TASKS.get(task) if task is None or isinstance(task, str) else None
    return known or RunTask(f"another version's task {task!r}", "groundup report RUN", writes=False, per="")


def use_of(task: object, folder: object) -> str:
    """Return the command that uses the model in the run at `folder`.

    Example:
        >>> use_of("chat", "runs/mine")
        'groundup chat runs/mine'
    """
    return run_task(task).use.replace("RUN", str(folder))
