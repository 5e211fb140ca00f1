"""Runs that learn to predict hidden tokens: what one needs, made from its config; and its encoder, to use."""

import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import torch

from groundup.configs.encoder import EncoderConfig
from groundup.configs.masked import MaskedConfig
from groundup.data.tales_posterior import NoReadingError
from groundup.errors import InputError
from groundup.evaluation.masked_posterior import compare_with_posterior, hidden_entropy
from groundup.evaluation.masked_prediction import score_hidden
from groundup.models.encoder import Encoder
from groundup.tasks.masked_lm import MaskedBatch, MaskedLM
from groundup.tokenization.base import Tokenizer
from groundup.tokenization.mask_token import with_mask
from groundup.tokenization.pretrained import load_tokenizer
from groundup.training.devices import choose_device
from groundup.training.lifecycle import Ready
from groundup.training.preparation import Prepared, make_tokenizer, prepare_data
from groundup.training.run_folder import Run
from groundup.training.state import load_weights
from groundup.training.trained import best_checkpoint
from groundup.weights.bert import load_bert
from groundup.weights.json_files import read_object
from groundup.weights.text_encoder import TextEncoder


def prepare(
    run: Run, config: MaskedConfig, device: torch.device, report: Callable[[str], None]
) -> Ready[Encoder, MaskedBatch]:
    """Make the tokens, the encoder and the task of a run, or open the tokens that an earlier session made.

    Raises:
        InputError: a corpus or tokenizer that cannot be found or used.
    """
    prepared = prepare_masked_data(run, config, report=report)
    task = build_task(config, prepared)
    if config.data.corpus == "tales":
        report("the exact posterior of the hidden words …")
        task.floor = hidden_entropy(task.measured, prepared.tokenizer, len(task.opening))
    model = build_encoder(config.model, prepared.tokenizer, seed=config.training.seed)
    return Ready(model=model, task=task, page=_describe(run, config, prepared, model, task, device))


def prepare_masked_data(
    run: Run, config: MaskedConfig, *, report: Callable[[str], None] = lambda line: None
) -> Prepared:
    """Make the tokenizer, with [MASK], and the token files of a run, or open them where an earlier session made them.

    Raises:
        InputError: a corpus or tokenizer that cannot be found or used, or files that are damaged.
    """
    if not run.tokenizer.exists():
        report(f"making the tokenizer ({config.data.tokenizer}) …")
        with_mask(make_tokenizer(config.data)).save(run.tokenizer)
    return prepare_data(run, config.data, report=report)


def build_task(config: MaskedConfig, prepared: Prepared) -> MaskedLM:
    """Return the task of a run."""
    return MaskedLM(
        train=prepared.train,
        validation=prepared.validation,
        tokenizer=prepared.tokenizer,
        context_length=config.model.context_length,
        masking=config.masking,
        training=config.training,
        end_id=prepared.end_id,
    )


def build_encoder(config: EncoderConfig, tokenizer: Tokenizer, *, seed: int) -> Encoder:
    """Return an encoder with the initial weights that `seed` decides, made on the CPU: every device starts alike.

    Raises:
        InputError: a vocabulary that is smaller than the tokenizer's.
    """
    if config.vocab_size is not None and config.vocab_size < tokenizer.vocab_size:
        raise InputError(
            f"expected EncoderConfig.vocab_size to be at least the tokenizer's {tokenizer.vocab_size}, "
            f"found {config.vocab_size}: raise it, or leave it out"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Encoder(replace(config, vocab_size=config.vocab_size or tokenizer.vocab_size))


def load_masked_run(folder: Path, *, device: str = "auto") -> TextEncoder:
    """Load the best weights of a run, or the newest intact ones where none is marked best.

    Raises:
        InputError: no run, a run of another kind, or one without an intact checkpoint of its config.
    """
    run = Run.open(folder)
    config = run.read_config(MaskedConfig)
    found = best_checkpoint(run, lambda line: print(line, file=sys.stderr))
    tokenizer = load_tokenizer(run.tokenizer)
    model = build_encoder(config.model, tokenizer, seed=config.training.seed)
    load_weights(found.checkpoint, found.folder, model)
    return TextEncoder(
        model=model.to(choose_device(device)).eval(),
        tokenizer=tokenizer,
        source=str(folder),
        opening=() if tokenizer.end_id is None else (tokenizer.end_id,),
    )


def open_encoder(path: Path) -> TextEncoder:
    """Load an encoder from a run of `groundup train`, or from a folder with a BERT of `transformers`.

    Raises:
        InputError: neither, or a damaged one.
    """
    is_published = path.is_dir() and "model_type" in read_object(path / "config.json", missing_ok=True)
    return load_bert(path) if is_published else load_masked_run(path)


def evaluate_masked_run(folder: Path, *, max_tokens: int | None = None) -> dict[str, float | int]:
    """Measure a run's best weights on its validation texts, in float32, each hidden token behind a mask.

    Args:
        folder: the run.
        max_tokens: take the first validation texts only, of so many tokens. None: all of them.

    Returns:
        n_hidden, loss (nats per hidden token) and accuracy; of tales also what the exact posterior would reach, and the
        other figures of `AgainstPosterior`, but for `certain`.

    Raises:
        InputError: as `load_masked_run`.
    """
    run = Run.open(folder)
    encoder = load_masked_run(folder)
    config = run.read_config(MaskedConfig)
    prepared = prepare_masked_data(run, config)
    evaluation = replace(config.training.evaluation, max_tokens=max_tokens or prepared.validation.n_tokens)
    config = replace(config, training=replace(config.training, evaluation=evaluation))
    task = build_task(config, prepared)
    if config.data.corpus == "tales":
        try:
            found = asdict(compare_with_posterior(encoder.model, task.measured, encoder.tokenizer, len(task.opening)))
            return {name: value for name, value in found.items() if name != "certain"}
        except NoReadingError:  # cut into pieces, for a short context
            pass
    return asdict(score_hidden(encoder.model, task.measured))


def _describe(
    run: Run, config: MaskedConfig, prepared: Prepared, model: Encoder, task: MaskedLM, device: torch.device
) -> list[str]:
    """Return what is about to be trained, in a few lines."""
    training, data, masking = config.training, config.data, config.masking
    per_step = training.sequences_per_step
    epochs = training.steps * per_step / task.n_texts
    floor = "" if task.floor is None else f"; their exact entropy {task.floor:.4f} nats each"
    what = "words" if masking.whole_words else "tokens"
    return [
        f"run         {run.path}",
        f"corpus      {data.corpus}: {prepared.train.n_tokens:,} tokens in {task.n_texts:,} texts to learn, "
        f"{prepared.validation.n_tokens:,} held out",
        f"hidden      {masking.probability:.0%} of the {what}; measured on {task.measured.n_hidden:,} held-out ones"
        f"{floor}",
        f"vocabulary  {prepared.tokenizer.vocab_size:,} ({data.tokenizer}, [MASK] included)",
        f"model       {model.n_parameters():,} parameters: {config.model.n_layers} layers, "
        f"{config.model.d_model} wide, {config.model.n_heads} heads, context {config.model.context_length}",
        f"training    {training.steps:,} steps of {per_step} texts ({epochs:.2g} epochs) on {device}",
    ]
