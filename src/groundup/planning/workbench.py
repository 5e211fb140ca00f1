"""A run set up in a folder, so that its steps, evaluations, samples and checkpoints can be timed one by one."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from groundup.configs.run import RunConfig
from groundup.models.gpt import GPT
from groundup.planning.evaluations import evaluation_passes, evaluation_tokens
from groundup.tasks.language_modeling import LanguageModeling, TokenBatch
from groundup.training.compute import settle
from groundup.training.devices import arithmetic, choose_device
from groundup.training.early_stopping import EarlyStopping
from groundup.training.preparation import BPE_TEXT, Prepared, build_model, build_task, make_tokenizer, prepare_data
from groundup.training.run_folder import Run
from groundup.training.state import TrainingState, save_state
from groundup.training.step import Stepper


class Workbench:
    """A model, its task and its stepper, made as `groundup train` makes them; how to compute is settled.

    The number of threads is for the caller to set: `config.training.compute.threads`.

    Args:
        config: the run.
        folder: an empty folder, or one that is not there yet.

    Raises:
        InputError: whatever would stop the run before its first step.
    """

    def __init__(self, config: RunConfig, folder: Path) -> None:
        self.run = Run.create(folder / "run", config)
        self.device = choose_device(config.training.device)
        began = time.perf_counter()
        make_tokenizer(config.data).save(self.run.tokenizer)
        self.tokenizer_seconds = time.perf_counter() - began
        self.prepared: Prepared = prepare_data(self.run, config.data)
        self.encoding_seconds = time.perf_counter() - began - self.tokenizer_seconds
        self.model: GPT = build_model(config.model, self.prepared.tokenizer, seed=config.training.seed)
        self.model.to(self.device).train()
        self.task: LanguageModeling = build_task(config, self.prepared)
        settled = settle(config.training, self.model, self.task, device=self.device)
        self.config = replace(config, training=settled)
        self.stepper: Stepper[GPT, TokenBatch] = Stepper(self.model, self.task, self.config.training, self.device)

    def reading_seconds(self, n_bytes: int, whole: int) -> float:
        """Return how long making the tokenizer and encoding take for a text of `whole` bytes, here of `n_bytes`."""
        share = whole / n_bytes
        if self.config.data.tokenizer == "bpe":
            learned = min(whole, BPE_TEXT) / min(n_bytes, BPE_TEXT)
        else:
            learned = share if self.config.data.tokenizer == "characters" else 1.0
        return self.tokenizer_seconds * learned + self.encoding_seconds * share

    def step(self, number: int) -> None:
        """Take one whole optimizer step."""
        self.stepper.gradient(number)
        self.stepper.update(number)

    def seconds(self, work: Callable[[], object]) -> float:
        """Return how long `work` takes, the device's part included."""
        self.wait()
        began = time.perf_counter()
        work()
        self.wait()
        return time.perf_counter() - began

    def wait(self) -> None:
        """Wait until the device has done what it was given."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        elif self.device.type == "mps":
            torch.mps.synchronize()

    def evaluation_seconds(self, step_seconds: float, limit: float, n_validation: int) -> float:
        """Return how long an evaluation takes on `n_validation` tokens, measured on fewer where it would be long.

        Args:
            step_seconds: time of an optimizer step, from which the time is guessed beforehand.
            limit: seconds that the measured part may take, about.
            n_validation: validation tokens of the run's whole text.
        """
        context = self.config.model.context_length
        wanted = min(self.config.training.evaluation.max_tokens, n_validation - 1)
        passes = evaluation_passes(wanted, context)
        a_pass = step_seconds / 3 / self.config.training.sequences_per_step  # a forward pass is a third of a step
        n_here = evaluation_passes(self.prepared.validation.n_tokens - 1, context)
        n_measured = max(2, min(passes, n_here, int(limit / a_pass)))
        task = build_task(self._evaluating(evaluation_tokens(n_measured, context)), self.prepared)

        def evaluate() -> None:
            with arithmetic(self.device, self.config.training):
                task.evaluate(self.model)

        measured = min(n_measured, passes, n_here)
        return self.seconds(evaluate) * passes / measured

    def sample_seconds(self, most_tokens: int) -> float:
        """Return how long a sample of the run takes, measured on at most so many tokens."""
        wanted = self.config.training.evaluation.sample_tokens
        if wanted == 0:
            return 0.0
        drawn = min(wanted, most_tokens)
        evaluation = replace(self.config.training.evaluation, sample_tokens=drawn)
        short = replace(self.config, training=replace(self.config.training, evaluation=evaluation))
        task = build_task(short, self.prepared)
        return self.seconds(lambda: task.sample(self.model, 0)) * wanted / drawn

    def checkpoint_seconds(self) -> float:
        """Return how long one checkpoint takes to write into the folder, which should be where the run's will be."""
        state = TrainingState(stopping=EarlyStopping(None), step=1)
        place, optimizer = self.run.checkpoint(1), self.stepper.optimizer
        return self.seconds(lambda: save_state(place, self.model, optimizer, state, config=self.run.config))

    def _evaluating(self, max_tokens: int) -> RunConfig:
        evaluation = replace(self.config.training.evaluation, max_tokens=max_tokens)
        return replace(self.config, training=replace(self.config.training, evaluation=evaluation))
