"""lm-eval, the field's evaluation harness, on any model of ours: groundup evaluate MODEL --harness TASK.

lm-eval is the extra `harness`, and imported only when it is asked for.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundup.errors import InputError
from groundup.evaluation.harness_model import HarnessModel
from groundup.weights.pretrained import Pretrained


def as_language_model(model: HarnessModel) -> HarnessModel:
    """Return the model, and let lm-eval know that it has the members of its `LM`.

    Raises:
        InputError: lm-eval is not installed.
    """
    _lm_eval()
    from lm_eval.api.model import LM

    LM.register(HarnessModel)
    return model


@dataclass(frozen=True)
class HarnessFigure:
    """One figure of a task."""

    task: str
    """The task, with its version."""
    metric: str
    """What was measured, and after which filter of the answers."""
    value: float
    """The figure: a share from 0 to 1, a perplexity, whatever the task defines."""
    standard_error: float | None
    """Its standard error over the task's examples. None: the task gives none."""


def evaluate_with_harness(
    found: Pretrained,
    tasks: Sequence[str],
    *,
    limit: int | None = None,
    n_few_shot: int | None = None,
    batch_size: int = 8,
    chat: bool = False,
) -> list[HarnessFigure]:
    """Return what lm-eval measures of a model.

    Args:
        found: the model.
        tasks: names that lm-eval knows, whose data it downloads, or paths of task files (.yaml) of your own.
        limit: the first so many examples of each task. None: all.
        n_few_shot: worked examples before each question. None: what the task says.
        batch_size: texts read at once; changes nothing but speed and memory.
        chat: lay questions out by the model's chat template.

    Raises:
        InputError: lm-eval is not installed, a task is unknown or its data cannot be had, or the model cannot answer.
    """
    _lm_eval()
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    files = [name for name in tasks if name.endswith((".yaml", ".yml"))]
    for file in files:
        if not Path(file).is_file():
            raise InputError(f"expected a task of lm-eval or a task file, found no file {file}: check the path")
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    manager = TaskManager(include_defaults=len(files) < len(tasks))  # its own are thousands of files
    unknown = [name for name in tasks if name not in files and not manager.match_tasks([name])]
    if unknown:
        raise InputError(
            f"unknown task {unknown[0]!r}: give a name that lm-eval knows (lm-eval ls tasks), or a task file (.yaml)"
        )
    model = as_language_model(HarnessModel(found, batch_size=batch_size))
    try:
        loaded = manager.load(list(tasks))
    except Exception as error:  # whatever datasets, the hub or a faulty task file raise
        raise InputError(
            f"expected tasks whose data is here or can be downloaded, found {', '.join(tasks)}: "
            f"{' '.join(f'{type(error).__name__}: {error}'.split())}"
        ) from error
    results = simple_evaluate(
        model=model,
        tasks=list(tasks) if loaded["groups"] else list(loaded["tasks"].values()),
        task_manager=manager,
        limit=limit,
        num_fewshot=n_few_shot,
        apply_chat_template=chat,
        log_samples=False,
    )
    return list(_figures(results["results"]))


def _figures(results: Mapping[str, Mapping[str, Any]]) -> Iterator[HarnessFigure]:
    for task, figures in results.items():
        for name, value in figures.items():
            metric, _, kept = name.partition(",")
            if not isinstance(value, int | float) or isinstance(value, bool) or metric.endswith("_stderr") or not kept:
                continue
            error = figures.get(f"{metric}_stderr,{kept}")
            yield HarnessFigure(
                task,
                metric if kept == "none" else f"{metric}, {kept}",
                float(value),
                float(error) if isinstance(error, int | float) else None,
            )


def _lm_eval() -> None:
    try:
        import lm_eval  # noqa: F401
    except ImportError:
        raise InputError(
            "expected lm-eval to be installed, found it missing: pip install 'groundup[harness]'"
        ) from None
