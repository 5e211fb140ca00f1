"""Runs that learn to translate: what one needs, made from its config; and its model, to use."""

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import torch

from groundup.configs.seq2seq import Seq2SeqConfig
from groundup.configs.translation import PairsConfig, TranslationConfig
from groundup.data.pairs import PairSplits, load_pairs
from groundup.errors import InputError
from groundup.generation.translate import Translator, end_of
from groundup.models.seq2seq import Seq2Seq
from groundup.tasks.translation import Translation
from groundup.tasks.translation_batch import TranslationBatch
from groundup.tokenization.base import END_OF_TEXT, Tokenizer
from groundup.tokenization.bpe import ByteBPE
from groundup.tokenization.bpe_training import train_bpe
from groundup.tokenization.fast import FastTokenizer
from groundup.tokenization.pretrained import load_tokenizer
from groundup.training.devices import choose_device
from groundup.training.lifecycle import Ready
from groundup.training.run_folder import Run
from groundup.training.same_data import same_data
from groundup.training.state import load_weights
from groundup.training.trained import best_checkpoint

SOURCE_TOKENIZER = "source-tokenizer.json"
"""In the folder of a run whose languages have a vocabulary each: that of the sources."""


def prepare(
    run: Run, config: TranslationConfig, device: torch.device, report: Callable[[str], None]
) -> Ready[Seq2Seq, TranslationBatch]:
    """Make the pairs, the tokenizers, the model and the task of a run; tokenizers that are there are opened.

    Raises:
        InputError: pairs or a tokenizer that cannot be found or used, or pairs that are not those the run began with.
    """
    report(f"reading {config.data.corpus} …")
    splits = load_pairs(config.data)
    counts = {"train": len(splits.train), "validation": len(splits.validation)}
    sides = [[part.source, part.target] for part in (splits.train, splits.validation)]
    same_data(run, sides, languages=splits.languages, pairs=counts, notes=splits.notes)
    source, target = prepare_tokenizers(run, config.data, splits, report=report)
    translator = build_translator(config.model, source, target, seed=config.training.seed)
    task = Translation(
        train=splits.train,
        validation=splits.validation,
        translator=translator,
        max_tokens=most_tokens(config),
        batch_tokens=config.data.batch_tokens,
        label_smoothing=config.label_smoothing,
        decoded_pairs=config.decoded_pairs,
        training=config.training,
    )
    return Ready(model=translator.model, task=task, page=_describe(run, config, splits, translator, task, device))


def prepare_tokenizers(
    run: Run, config: PairsConfig, splits: PairSplits, *, report: Callable[[str], None] = lambda line: None
) -> tuple[Tokenizer, Tokenizer]:
    """Return what spells the sources and the targets of a run: made, or as an earlier session made it.

    Raises:
        InputError: no such tokenizer, or one without an end-of-text token.
    """
    sides = {run.path / SOURCE_TOKENIZER: splits.train.source, run.tokenizer: splits.train.target}
    if config.shared_vocabulary:
        sides = {run.tokenizer: splits.train.source + splits.train.target}
    for path, texts in sides.items():
        if not path.exists():
            report(f"making the tokenizer ({config.tokenizer}) …")
            made = make_tokenizer(config, texts)
            end_of(made)
            made.save(path)
    return open_tokenizers(run)


def open_tokenizers(run: Run) -> tuple[Tokenizer, Tokenizer]:
    """Return what spells the sources and the targets of a run.

    Raises:
        InputError: a file that is not there, or damaged.
    """
    target = load_tokenizer(run.tokenizer)
    own = run.path / SOURCE_TOKENIZER
    return (load_tokenizer(own) if own.exists() else target), target


def make_tokenizer(config: PairsConfig, texts: Iterable[str]) -> Tokenizer:
    """Return the tokenizer that `config` names: trained on `texts`, bytes, or from a file.

    Raises:
        InputError: no such tokenizer.
    """
    if config.tokenizer == "bytes":
        return FastTokenizer(ByteBPE(merges=[], special_tokens=[END_OF_TEXT]))
    if config.tokenizer == "bpe":
        return FastTokenizer(train_bpe(_lines(texts), config.bpe_vocab_size))
    if Path(config.tokenizer).exists():
        return load_tokenizer(Path(config.tokenizer))
    raise InputError(
        f"expected a tokenizer: bpe, bytes or the path of a tokenizer.json, found {config.tokenizer!r}: name one"
    )


def build_translator(config: Seq2SeqConfig, source: Tokenizer, target: Tokenizer, *, seed: int) -> Translator:
    """Return a model with the initial weights that `seed` decides, made on the CPU so that every device starts alike.

    Vocabularies are the tokenizers' unless `config` asks for larger ones; the ids beyond are never used.

    Raises:
        InputError: a vocabulary that is smaller than its tokenizer's, or one matrix for two vocabularies.
    """
    sizes = []
    for name, tokenizer in (("source_vocab_size", source), ("target_vocab_size", target)):
        given, least = getattr(config, name), tokenizer.vocab_size
        if given is not None and given < least:
            raise InputError(
                f"expected Seq2SeqConfig.{name} to be at least the tokenizer's {least}, found {given}: raise it, or "
                "leave it out"
            )
        sizes.append(given or least)
    if config.share_embeddings == "all" and source is not target:
        raise InputError(
            "expected Seq2SeqConfig.share_embeddings target or none for languages with a vocabulary each, found all: "
            "change it, or take PairsConfig.shared_vocabulary"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Seq2Seq(replace(config, source_vocab_size=sizes[0], target_vocab_size=sizes[1]))
    return Translator(model=model, source_tokenizer=source, target_tokenizer=target)


def most_tokens(config: TranslationConfig) -> int:
    """Return how many tokens a side of a pair may have, its end token counted.

    Raises:
        InputError: more than the model can hold.
    """
    most, context_length = config.data.max_tokens, config.model.context_length
    if most is not None and most > context_length:
        raise InputError(
            f"expected PairsConfig.max_tokens to be at most {context_length}, the model's context_length, found "
            f"{most}: lower it"
        )
    return context_length if most is None else most


@dataclass(frozen=True, kw_only=True)
class LoadedTranslator:
    """A run that learned to translate, to use."""

    translator: Translator
    """With the best weights, in evaluation mode."""
    config: TranslationConfig
    """The run's config."""
    run: Run
    """The folder it came from."""
    step: int
    """Optimizer steps behind the weights."""
    metrics: dict[str, float]
    """Validation figures measured in training: at that step, or at the last evaluation before it."""


def load_translator(folder: Path, *, device: str = "auto") -> LoadedTranslator:
    """Load the best weights of a run, or the newest intact ones where none is marked best or the best are damaged.

    Raises:
        InputError: no run, a run of another kind, or one without an intact checkpoint of its config.
    """
    run = Run.open(folder, begun_by="groundup train multi30k-en-de")
    config = run.read_config(TranslationConfig)
    found = best_checkpoint(run, lambda line: print(line, file=sys.stderr))
    translator = build_translator(config.model, *open_tokenizers(run), seed=config.training.seed)
    load_weights(found.checkpoint, found.folder, translator.model)
    translator.model.to(choose_device(device)).eval()
    return LoadedTranslator(translator=translator, config=config, run=run, step=found.step, metrics=found.metrics)


def _lines(texts: Iterable[str]) -> Iterator[str]:
    """Yield texts with a line break behind each, across which no token is learned."""
    return chain.from_iterable((text, "\n") for text in texts)


def _describe(
    run: Run,
    config: TranslationConfig,
    splits: PairSplits,
    translator: Translator,
    task: Translation,
    device: torch.device,
) -> list[str]:
    """Return what is about to be trained, in a few lines."""
    training, data, model = config.training, config.data, config.model
    sizes = [f"{tokenizer.vocab_size:,}" for tokenizer in (translator.source_tokenizer, translator.target_tokenizer)]
    vocabulary = sizes[0] if data.shared_vocabulary else " and ".join(sizes)
    n_epoch = task.batches.n_batches(0)
    per_step = int(task.train.lengths.sum() / n_epoch)
    too_long = [
        f"{side.n_too_long:,} of {side.n_too_long + len(side.source):,} {what}pairs left out: a side has more than "
        f"{most_tokens(config)} tokens"
        for side, what in ((task.train, ""), (task.validation, "validation "))
        if side.n_too_long
    ]
    return [
        f"run         {run.path}",
        f"pairs       {data.corpus}, {splits.languages[0]} to {splits.languages[1]}: {len(task.train.source):,} to "
        f"learn, {len(task.validation.source):,} for validation",
        *(f"            {note}" for note in (*splits.notes, *too_long)),
        f"vocabulary  {vocabulary} ({data.tokenizer})",
        f"model       {translator.model.n_parameters():,} parameters: {model.n_encoder_layers} + "
        f"{model.n_decoder_layers} layers, {model.d_model} wide, {model.n_heads} heads, context {model.context_length}",
        f"training    {training.steps:,} steps of about {per_step:,} tokens ({training.steps / n_epoch:.2g} epochs) on "
        f"{device}",
    ]
