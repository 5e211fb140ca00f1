"""From a config to what `fit` needs: the tokenizer, the token files, the model and the task of one run."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from groundup.configs.model import GPTConfig
from groundup.configs.run import DataConfig, RunConfig
from groundup.data.corpora import SEPARATOR, Corpus, find_corpus
from groundup.data.splits import training_text
from groundup.data.tokens import TokenFile, open_tokens, prepare_tokens
from groundup.errors import InputError
from groundup.models.gpt import GPT
from groundup.tasks.language_modeling import LanguageModeling
from groundup.tokenization.base import Tokenizer
from groundup.tokenization.bpe_training import train_bpe
from groundup.tokenization.characters import CharacterTokenizer
from groundup.tokenization.fast import FastTokenizer
from groundup.tokenization.pretrained import gpt2_tokenizer, load_tokenizer
from groundup.training.run_folder import Run

BPE_TEXT = 4_000_000
"""Characters that a tokenizer is trained on; more changes a small vocabulary little."""


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """The text of a run, in its tokens."""

    tokenizer: Tokenizer
    """The run's own copy."""
    train: TokenFile
    """What is learned."""
    validation: TokenFile
    """What is only measured."""
    floor: float | None
    """Entropy of the text in bits per byte, where it is known."""
    end_id: int | None
    """The token before each document, across which nothing is attended to. None: one text, or not asked for."""


def prepare_data(run: Run, config: DataConfig, *, report: Callable[[str], None] = lambda line: None) -> Prepared:
    """Make the tokenizer and the token files of a run, or open them where an earlier session made them.

    Raises:
        InputError: a corpus or tokenizer that cannot be found or used, or files that are damaged.
    """
    if not run.tokenizer.exists():
        report(f"making the tokenizer ({config.tokenizer}) …")
        _remove(run.path.glob(f".{run.tokenizer.name}.*"))
        make_tokenizer(config).save(run.tokenizer)
    tokenizer = load_tokenizer(run.tokenizer)
    if not run.tokens.exists():
        corpus = find_corpus(config.corpus, max_bytes=config.max_bytes)
        report(f"encoding {corpus.name} …")
        _remove(run.path.glob(f".{run.tokens.name}.*.partial"))
        prepare_tokens(corpus, tokenizer, run.tokens, validation_fraction=config.validation_fraction)
    train = open_tokens(run.tokens, "train", tokenizer=tokenizer)
    validation = open_tokens(run.tokens, "validation", tokenizer=tokenizer)
    for tokens in (train, validation):
        tokens.verify()
    return Prepared(
        tokenizer=tokenizer,
        train=train,
        validation=validation,
        floor=_entropy(config.corpus, tokenizer),
        end_id=before_documents(tokenizer, train, config),
    )


def before_documents(tokenizer: Tokenizer, train: TokenFile, config: DataConfig) -> int | None:
    """Return the token before each document, across which nothing is attended to; None: one text, or not asked for."""
    has_documents = tokenizer.end_id is not None and train.n_tokens > 0 and train.ids[0] == tokenizer.end_id
    return tokenizer.end_id if has_documents and config.separate_documents else None


def make_tokenizer(config: DataConfig) -> Tokenizer:
    """Return the tokenizer that `config` names: made from its corpus, GPT-2's, or from a file.

    Raises:
        InputError: no such tokenizer, or no such corpus.
    """
    if config.tokenizer == "characters":
        return CharacterTokenizer.from_text(_corpus(config).text())
    if config.tokenizer == "bpe":
        text = training_text(_corpus(config), config.validation_fraction)
        return FastTokenizer(train_bpe(_first(text, BPE_TEXT), config.bpe_vocab_size))
    if config.tokenizer == "gpt2":
        return gpt2_tokenizer()
    try:
        if Path(config.tokenizer).exists():
            return load_tokenizer(Path(config.tokenizer))
        found = repr(config.tokenizer)
    except OSError as error:  # a name that is too long, a folder that may not be looked into
        found = f"{config.tokenizer!r} ({error.strerror})"
    raise InputError(f"expected a tokenizer: characters, bpe, gpt2 or the path of a tokenizer.json, found {found}")


def build_model(config: GPTConfig, tokenizer: Tokenizer, *, seed: int) -> GPT:
    """Return a GPT with the initial weights that `seed` decides, made on the CPU so that every device starts alike.

    Its vocabulary is the tokenizer's unless `config` asks for a larger one; the ids beyond are never used.

    Raises:
        InputError: a vocabulary that is smaller than the tokenizer's.
    """
    if config.vocab_size is not None and config.vocab_size < tokenizer.vocab_size:
        raise InputError(
            f"expected GPTConfig.vocab_size to be at least the tokenizer's {tokenizer.vocab_size}, "
            f"found {config.vocab_size}: raise it, or leave it out"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return GPT(replace(config, vocab_size=config.vocab_size or tokenizer.vocab_size))


def build_task(config: RunConfig, prepared: Prepared) -> LanguageModeling:
    """Return the language modelling task of a run."""
    return LanguageModeling(
        train=prepared.train,
        validation=prepared.validation,
        tokenizer=prepared.tokenizer,
        context_length=config.model.context_length,
        training=config.training,
        floor=prepared.floor,
        end_id=prepared.end_id,
    )


def _remove(leftovers: Iterator[Path]) -> None:
    """Remove what a process left that was killed while it prepared this run; no other one can be at it now."""
    for path in leftovers:
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


def _corpus(config: DataConfig) -> Corpus:
    return find_corpus(config.corpus, max_bytes=config.max_bytes)


def _first(pieces: Iterator[str], n_characters: int) -> Iterator[str]:
    for piece in pieces:
        yield piece[:n_characters]
        n_characters -= len(piece)
        if n_characters <= 0:
            return


def _entropy(corpus: str, tokenizer: Tokenizer) -> float | None:
    """Return the exact bits per byte of a corpus of which they are known: the tales, a grammar of our own."""
    if corpus != "tales":
        return None
    from groundup.data.tales import bits_per_byte

    return bits_per_byte("" if tokenizer.end_id is not None else SEPARATOR)
