"""What a run can learn from scratch, by the field `task` of its config: the config, and what makes the rest of it."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groundup.configs.distillation import DistillConfig
from groundup.configs.images import ImagesConfig
from groundup.configs.masked import MaskedConfig
from groundup.configs.run import Configured, RunConfig
from groundup.configs.run_tasks import run_task
from groundup.configs.translation import TranslationConfig
from groundup.errors import InputError

if TYPE_CHECKING:  # torch: not for what only reads a config
    from rich.console import Console

    from groundup.training.loop import Outcome
    from groundup.weights.pretrained import Pretrained

OpenModel = Callable[[str], "Pretrained"]
"""From a name to a model, for a run that learns from one: `groundup.resolve.open_model`."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of run that begins with random weights."""

    config: type[Configured]
    """Of its config."""
    preparing: Callable[[OpenModel], Any]
    """Returns the `lifecycle.Prepare` that makes model and task; imports torch."""


def _prepare_in(module: str) -> Callable[[OpenModel], Any]:
    """Return what finds the function `prepare` in a module of this room, when it is asked for."""

    def preparing(open_model: OpenModel) -> Any:  # noqa: ANN401 - of whatever the task trains
        return importlib.import_module(f"groundup.training.{module}").prepare

    return preparing


def _distilling(open_model: OpenModel) -> Any:  # noqa: ANN401 - of students
    return importlib.import_module("groundup.training.distillation").preparing(open_model)


LANGUAGE = Kind(config=RunConfig, preparing=_prepare_in("launch"))
"""Runs of language models, whose config names no task."""
KINDS: dict[str, Kind] = {
    "translate": Kind(config=TranslationConfig, preparing=_prepare_in("translation")),
    "mask": Kind(config=MaskedConfig, preparing=_prepare_in("masked")),
    "distill": Kind(config=DistillConfig, preparing=_distilling),
    "images": Kind(config=ImagesConfig, preparing=_prepare_in("images")),
}
"""The others, by their field `task`."""


def kind_of(config: Configured | Mapping[str, Any]) -> Kind | None:
    """Return the kind of a config, or of what config.json says; None: a fine-tuning run, or one of another version.

    Example:
        >>> kind_of(RunConfig()).config.__name__, kind_of({"task": "translate"}).config.__name__
        ('RunConfig', 'TranslationConfig')
        >>> kind_of({"task": "chat"}) is None
        True
    """
    task = config.get("task") if isinstance(config, Mapping) else getattr(config, "task", None)
    return LANGUAGE if task is None else KINDS.get(task)


def no_model(name: str) -> "Pretrained":
    """Stand for an `OpenModel` where none is at hand."""
    raise InputError(f"expected a run that learns without another model here, found one that needs {name}")


def start(
    config: Configured, folder: Path, *, open_model: OpenModel = no_model, console: "Console | None" = None
) -> "Outcome":
    """Begin a run of any of these kinds in a new folder, and train it to its end or to Ctrl-C: see `lifecycle.begin`.

    Args:
        config: everything that decides the run.
        folder: must not exist.
        open_model: opens the models that the config names, if it names any.
        console: where progress is shown. None: standard output.

    Raises:
        InputError: what was asked for cannot be done, or `folder` exists.
    """
    from groundup.training.lifecycle import begin

    kind = kind_of(config)
    if kind is None:
        raise ValueError(f"expected a config of {', '.join(KINDS)} or a RunConfig, found {type(config).__name__}")
    return begin(config, folder, kind.preparing(open_model), console=console)


def resume(
    folder: Path,
    *,
    config: Configured | None = None,
    open_model: OpenModel = no_model,
    console: "Console | None" = None,
) -> "Outcome":
    """Go on with a run of any of these kinds, with the changes in `config`: see `lifecycle.go_on`.

    Raises:
        InputError: not such a run, or what `go_on` refuses.
    """
    from groundup.training.lifecycle import go_on
    from groundup.training.run_folder import Run

    kind = known_kind(Run.open(folder).config, folder)
    return go_on(folder, kind.config, kind.preparing(open_model), config=config, console=console)


def known_kind(config: Mapping[str, Any], folder: Path) -> Kind:
    """Return the kind of a run of groundup train.

    Raises:
        InputError: a run of another command, or of another version.
    """
    kind = kind_of(config)
    if kind is None:
        raise InputError(
            f"expected a run of groundup train, found {folder}, of {run_task(config.get('task')).model}: "
            f"groundup report {folder} shows what it reached"
        )
    return kind
