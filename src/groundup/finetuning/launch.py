"""Fine-tuning runs: begin one, go on with one, and measure what came of it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from groundup.errors import InputError
from groundup.finetuning.preparation import prepare_classification
from groundup.finetuning.preparation_texts import prepare_chat, prepare_preference, prepare_text
from groundup.finetuning.results import is_measured, write_results
from groundup.finetuning.runs import FinetuneConfig, check_base, kind_of
from groundup.training.lifecycle import Ready, begin, go_on
from groundup.training.loop import Outcome
from groundup.training.run_folder import Run
from groundup.weights.pretrained import Pretrained

OpenBase = Callable[[str], Pretrained]
"""From the name of a base to the model: `groundup.resolve.open_model`."""
PREPARE: dict[str, Any] = {
    "classify": prepare_classification,
    "text": prepare_text,
    "chat": prepare_chat,
    "prefer": prepare_preference,
}
"""By task: what makes model and task of its config."""


def finetune(config: FinetuneConfig, folder: Path, *, open_base: OpenBase, console: Console | None = None) -> Outcome:
    """Begin a fine-tuning run in a new folder, train it to its end or to Ctrl-C, and measure it at its end.

    Args:
        config: base, data, what learns, how.
        folder: must not exist.
        open_base: opens config.base.
        console: where progress is shown. None: standard output.

    Raises:
        InputError: what was asked for cannot be done, or `folder` exists.
    """
    outcome = begin(config, folder, _preparing(open_base), console=console)
    return _finished(outcome, open_base, console)


def resume_finetune(
    folder: Path, *, open_base: OpenBase, config: FinetuneConfig | None = None, console: Console | None = None
) -> Outcome:
    """Go on with a fine-tuning run as `training.lifecycle.go_on` does; its base must still be the one it began with.

    Raises:
        InputError: not a fine-tuning run, another base, other data, or what `go_on` refuses.
    """
    kind: Any = kind_of(Run.open(folder))
    if kind is None:
        raise InputError(f"expected a fine-tuning run, found {folder}, which groundup train began")
    outcome = go_on(folder, kind, _preparing(open_base), config=config, console=console)
    return _finished(outcome, open_base, console)


def _preparing(open_base: OpenBase) -> Any:  # noqa: ANN401 - of whatever the task trains
    def prepare(
        run: Run, config: FinetuneConfig, device: torch.device, report: Callable[[str], None]
    ) -> Ready[Any, Any]:
        report(f"loading {config.base} …")
        base = open_base(config.base)
        check_base(run, base, config.base)
        ready: Ready[Any, Any] = PREPARE[config.task](run, config, base, report)
        return ready

    return prepare


def _finished(outcome: Outcome, open_base: OpenBase, console: Console | None) -> Outcome:
    if not outcome.interrupted and not (outcome.was_over and is_measured(outcome)):
        write_results(outcome, open_base=open_base, console=Console() if console is None else console)
    return outcome
