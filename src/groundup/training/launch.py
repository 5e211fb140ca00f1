"""Language model runs: begin one, go on with one, also with stated changes."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console

from groundup.configs.bands import Band
from groundup.configs.run import RunConfig
from groundup.configs.training import TrainConfig
from groundup.models.gpt import GPT
from groundup.tasks.language_modeling import TokenBatch
from groundup.training.bands import BandWatch
from groundup.training.lifecycle import Ready, begin, go_on
from groundup.training.loop import Outcome
from groundup.training.preparation import Prepared, build_model, build_task, prepare_data
from groundup.training.run_folder import Run
from groundup.training.session import Expected


def start(config: RunConfig, folder: Path, *, console: Console | None = None) -> Outcome:
    """Begin a run in a new folder and train it to its end, or to Ctrl-C: see `lifecycle.begin`."""
    return begin(config, folder, prepare, console=console)


def resume(folder: Path, *, config: RunConfig | None = None, console: Console | None = None) -> Outcome:
    """Go on with a run from its newest intact checkpoint, with the changes in `config`: see `lifecycle.go_on`."""
    return go_on(folder, RunConfig, prepare, config=config, console=console)


def prepare(run: Run, config: RunConfig, device: torch.device, report: Callable[[str], None]) -> Ready[GPT, TokenBatch]:
    """Make the tokens, the model and the task of a run, or open the tokens that an earlier session made.

    Raises:
        InputError: a corpus or tokenizer that cannot be found or used.
    """
    prepared = prepare_data(run, config.data, report=report)
    model = build_model(config.model, prepared.tokenizer, seed=config.training.seed)

    def expects(training: TrainConfig) -> tuple[Expected, Sequence[Band]]:
        watch = BandWatch(replace(config, training=training))
        return watch, watch.shown

    return Ready(
        model=model,
        task=build_task(config, prepared),
        page=describe(run, config, prepared, model, device),
        expects=expects,
    )


def describe(run: Run, config: RunConfig, prepared: Prepared, model: GPT, device: torch.device) -> list[str]:
    """Return what is about to be trained, in a few lines."""
    training, data = config.training, config.data
    tokens_per_step = training.sequences_per_step * config.model.context_length
    epochs = training.steps * tokens_per_step / prepared.train.n_tokens
    floor = "" if prepared.floor is None else f"; exact entropy {prepared.floor:.4f} bits per byte"
    return [
        f"run         {run.path}",
        f"corpus      {data.corpus}: {prepared.train.n_tokens:,} tokens to learn, "
        f"{prepared.validation.n_tokens:,} held out{floor}",
        f"vocabulary  {prepared.tokenizer.vocab_size:,} ({data.tokenizer})",
        f"model       {model.n_parameters():,} parameters: {config.model.n_layers} layers, "
        f"{config.model.d_model} wide, {config.model.n_heads} heads, context {config.model.context_length}",
        f"training    {training.steps:,} steps of {tokens_per_step:,} tokens ({epochs:.2g} epochs) on {device}",
    ]
