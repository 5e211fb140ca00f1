"""Source texts to target texts, with an encoder–decoder and its tokenizers: in batches, in the order they came in.

Shapes: B rows, S source positions.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from groundup.configs.generation import GenerationConfig
from groundup.data.padding import pad_rows
from groundup.errors import InputError
from groundup.generation.reading import evaluation_mode
from groundup.generation.stream import ScoredText, generate_n_best, generate_text
from groundup.models.conditioned import Conditioned
from groundup.models.seq2seq import Seq2Seq
from groundup.tokenization.base import Tokenizer

TOKENS_AT_ONCE = 2_048
"""Source tokens that are read and written about together, padding included; each beam counts as a source of its own."""


@dataclass(frozen=True, kw_only=True)
class Translator:
    """A model that translates, with what spells both of its languages."""

    model: Seq2Seq
    """What reads and writes."""
    source_tokenizer: Tokenizer
    """What spells sources."""
    target_tokenizer: Tokenizer
    """What spells targets; with an end-of-text token, which ends a target."""

    def encode_source(self, text: str) -> list[int]:
        """Return the tokens of a source and the one that ends it."""
        return [*self.source_tokenizer.encode(text), end_of(self.source_tokenizer)]

    def encode_target(self, text: str) -> list[int]:
        """Return the tokens of a target and the one that ends it."""
        return [*self.target_tokenizer.encode(text), end_of(self.target_tokenizer)]

    @property
    def begin_id(self) -> int:
        """What every target begins with, before anything is written."""
        given = self.model.config.begin_id
        return end_of(self.target_tokenizer) if given is None else given


@dataclass(frozen=True, kw_only=True)
class Translated:
    """What came of some texts."""

    texts: tuple[str, ...]
    """One for each source, in their order; nothing for an empty source."""
    n_cut: int
    """Sources longer than the model can read, of which only the beginning was translated."""


def end_of(tokenizer: Tokenizer) -> int:
    """Return the token that ends a text.

    Raises:
        InputError: the vocabulary has none.
    """
    if tokenizer.end_id is None:
        raise InputError(
            "expected a tokenizer with an end-of-text token, which ends a translation, found one without: take bpe or "
            "bytes"
        )
    return tokenizer.end_id


def translate(translator: Translator, texts: Sequence[str], config: GenerationConfig) -> Translated:
    """Translate each of `texts`, and keep their order.

    Texts of similar length are read together. Where tokens are drawn by chance they are taken as they come, so that
    text i draws with config.seed + i, whatever stands beside it. A translation has at most as many tokens as the model
    can hold.

    Args:
        translator: model and tokenizers.
        texts: sources; an empty one stays empty.
        config: how to draw.

    Raises:
        InputError: a config that decoding refuses.

    Example:
        >>> from groundup.configs.seq2seq import Seq2SeqConfig
        >>> from groundup.tokenization.bpe import ByteBPE
        >>> spells = ByteBPE(merges=[], special_tokens=["<|endoftext|>"])
        >>> sizes = dict(source_vocab_size=257, target_vocab_size=257, d_model=16, n_heads=2, context_length=8)
        >>> model = Seq2Seq(Seq2SeqConfig(**sizes, n_encoder_layers=1, n_decoder_layers=1))
        >>> translator = Translator(model=model, source_tokenizer=spells, target_tokenizer=spells)
        >>> found = translate(translator, ["a", "", "much too long"], GenerationConfig(strategy="greedy"))
        >>> len(found.texts), found.texts[1], found.n_cut
        (3, '', 1)
    """
    rows, n_cut = _read(translator, texts)
    drawn = [""] * len(texts)
    for which in _batches(rows, config):
        own = replace(_fitting(translator, config), seed=config.seed + which[0] * (config.strategy == "sample"))
        found = _written(translator, [rows[i] for i in which], own)
        for i, text in zip(which, found, strict=True):
            drawn[i] = text.strip()
    return Translated(texts=tuple(drawn), n_cut=n_cut)


def translate_n_best(translator: Translator, text: str, config: GenerationConfig) -> list[ScoredText]:
    """Return the config.beam.n_best translations of one text that beam search finds, and their scores, best first.

    Raises:
        InputError: an empty text, another strategy than "beam".
    """
    rows, _ = _read(translator, [text])
    if not rows[0]:
        raise InputError("expected a text to translate, found an empty one: give one")
    with evaluation_mode(translator.model):
        writer = writer_about(translator.model, rows)
        found = generate_n_best(
            writer, translator.target_tokenizer, [translator.begin_id], _fitting(translator, config)
        )
    return [ScoredText(one.text.strip(), one.score) for one in found]


@torch.inference_mode()
def writer_about(model: Seq2Seq, rows: Sequence[Sequence[int]]) -> Conditioned:
    """Return the decoder of a model about sources of any lengths: row i writes about `rows[i]`."""
    tokens, is_token = pad_rows(rows, 0)  # [B, S]
    device = model.device
    mask = None if is_token.all() else torch.from_numpy(is_token).to(device)
    return model.conditioned(model.encode(torch.from_numpy(tokens).to(device), mask))


def _read(translator: Translator, texts: Sequence[str]) -> tuple[list[list[int]], int]:
    """Return the tokens of each text, none of an empty one, and how many were cut."""
    most, n_cut, rows = translator.model.context_length, 0, []
    for text in texts:
        text = text.strip()  # as what was learned
        ids = translator.encode_source(text) if text else []
        if len(ids) > most:
            n_cut += 1
            ids = [*ids[: most - 1], ids[-1]]
        rows.append(ids)
    return rows, n_cut


def _batches(rows: Sequence[Sequence[int]], config: GenerationConfig) -> Iterator[list[int]]:
    """Yield which rows are written about together; empty ones in none."""
    filled = [i for i, row in enumerate(rows) if row]
    lengths = np.array([len(rows[i]) for i in filled], np.int64)
    is_sampled = config.strategy == "sample"
    order = list(range(len(filled))) if is_sampled else np.argsort(-lengths, kind="stable").tolist()
    n_each = config.beam.n_beams if config.strategy == "beam" else 1
    batch: list[int] = []
    longest = 0
    for place in order:
        wider = max(longest, int(lengths[place]))
        is_gap = is_sampled and batch and filled[place] != batch[-1] + 1  # row i of a batch draws with seed + i
        if batch and (is_gap or (len(batch) + 1) * wider * n_each > TOKENS_AT_ONCE):
            yield batch
            batch, wider = [], int(lengths[place])
        batch.append(filled[place])
        longest = wider
    if batch:
        yield batch


def _written(translator: Translator, rows: Sequence[Sequence[int]], config: GenerationConfig) -> list[str]:
    with evaluation_mode(translator.model):
        writer = writer_about(translator.model, rows)
        prompts = [[translator.begin_id] for _ in rows]
        return generate_text(writer, translator.target_tokenizer, prompts, config)


def _fitting(translator: Translator, config: GenerationConfig) -> GenerationConfig:
    """Return the config with at most as many tokens as the model can hold: a target that slid has no beginning."""
    return replace(config, max_new_tokens=min(config.max_new_tokens, translator.model.context_length))
