"""A tuned model beside its base: what each writes after the same prompts, and how well each predicts two texts."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from groundup.configs.generation import GenerationConfig
from groundup.errors import InputError
from groundup.evaluation.perplexity import Perplexity, byte_lengths_of, evaluate_tokens
from groundup.evaluation.text_diversity import distinct_n, repeated_share, words
from groundup.generation import prepare_for_inference, stream, suggest_precision
from groundup.generation.stream import Step
from groundup.reports.texts import NamedText
from groundup.tasks.language_modeling import LOGITS_AT_ONCE
from groundup.tokenization.base import fingerprint
from groundup.weights.pretrained import Pretrained

CONTEXT_LENGTH = 512
"""Tokens of a window, unless said otherwise, or the models see fewer."""
Report = Callable[[str], None]
"""Is told what is being done."""


@dataclass(frozen=True, kw_only=True)
class Writing:
    """What one model wrote: a text for each prompt, without the prompt."""

    texts: tuple[str, ...]
    """In the order of the prompts."""
    n_ended: int
    """Texts that ended by themselves, before max_new_tokens."""

    @property
    def n_words(self) -> float:
        """Words and punctuation marks of a text, on average."""
        return sum(len(words(text)) for text in self.texts) / len(self.texts)

    def distinct(self, n: int) -> float | None:
        """Return distinct-n over all texts; see `distinct_n`."""
        return distinct_n([words(text) for text in self.texts], n)

    @property
    def repeated(self) -> float | None:
        """Runs of four words that a text has had before; see `repeated_share`."""
        return repeated_share([words(text) for text in self.texts])


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How well both models predict one text."""

    name: str
    """What it is."""
    base: Perplexity
    """Of the base."""
    tuned: Perplexity
    """Of the tuned model."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two models on the same prompts and texts."""

    base: str
    """Name of the base."""
    tuned: str
    """Name of the tuned model."""
    prompts: tuple[str, ...]
    """What both continued."""
    base_writing: Writing
    """How the base did."""
    tuned_writing: Writing
    """How the tuned model did."""
    domain: Reading | None
    """On what the tuned model was to learn, a part that it did not see. None: no such text."""
    general: Reading | None
    """On other text: what was forgotten. None: no such text."""
    same_tokens: bool
    """Whether both have one vocabulary: perplexities of different tokens cannot be compared, bits per byte can."""
    context_length: int
    """Tokens of a window in which a text was predicted."""
    generation: GenerationConfig
    """How both drew."""


def compare(
    base: Pretrained,
    tuned: Pretrained,
    prompts: Sequence[str],
    *,
    domain: NamedText | None = None,
    general: NamedText | None = None,
    generation: GenerationConfig | None = None,
    context_length: int | None = None,
    encode: Callable[[Pretrained, str], list[int]] = Pretrained.encode,
    names: tuple[str, str] | None = None,
    report: Report = lambda line: None,
) -> Comparison:
    """Let both models continue each prompt, and predict both texts.

    Each text is drawn with the same settings and seed, so it is what `groundup generate` writes for the prompt. Texts
    are predicted in float32, in windows of the same length that overlap by half.

    Args:
        base: the model that was tuned.
        tuned: what it became.
        prompts: at least one.
        domain: text of the kind that was learned, none of it seen in training.
        general: any other text.
        generation: how to draw. None: the defaults.
        context_length: tokens of a window. None: CONTEXT_LENGTH, or what both models can see if that is less.
        encode: from a model and a prompt to ids.
        names: what to call base and tuned. None: where they came from.
        report: is told what is being done.

    Raises:
        InputError: no prompt, one that a model cannot read, a text of fewer than two tokens or one that a vocabulary
            cannot spell; all but the texts before anything is drawn.

    Example:
        >>> from groundup.configs.model import GPTConfig
        >>> from groundup.models.gpt import GPT
        >>> from groundup.tokenization.characters import CharacterTokenizer
        >>> gpt = GPT(GPTConfig(vocab_size=3, context_length=8, d_model=16, n_layers=1, n_heads=2)).eval()
        >>> model = Pretrained(model=gpt, tokenizer=CharacterTokenizer("abc"), source="mine")
        >>> found = compare(model, model, ["ab"], domain=NamedText(name="abc", documents=("abcabc",)))
        >>> found.domain.base == found.domain.tuned, found.base_writing == found.tuned_writing
        (True, True)
    """
    config = GenerationConfig() if generation is None else generation
    length = min(context_length or CONTEXT_LENGTH, base.model.context_length, tuned.model.context_length)
    both, named = (base, tuned), names or (base.source, tuned.source)
    writings = _write(both, named, prompts, config, encode, report)
    return Comparison(
        base=named[0],
        tuned=named[1],
        prompts=tuple(prompts),
        base_writing=writings[0],
        tuned_writing=writings[1],
        domain=_read(both, named, domain, length, report),
        general=_read(both, named, general, length, report),
        same_tokens=fingerprint(base.tokenizer) == fingerprint(tuned.tokenizer),
        context_length=length,
        generation=config,
    )


def _write(
    both: tuple[Pretrained, Pretrained],
    named: tuple[str, str],
    prompts: Sequence[str],
    config: GenerationConfig,
    encode: Callable[[Pretrained, str], list[int]],
    report: Report,
) -> list[Writing]:
    """Let each model continue each prompt; what must be refused is refused before anything is drawn."""
    if not prompts:
        raise InputError("expected at least one prompt to compare models on, found none: give some")
    drawings = [
        [_drawing(prepared, encode(prepared, prompt), config) for prompt in prompts]
        for prepared in map(_prepared, both)
    ]
    return [
        _written(drawing, config, found.tokenizer.end_id, partial(report, f"{name} writes …"))
        for drawing, found, name in zip(drawings, both, named, strict=True)
    ]


def _read(
    both: tuple[Pretrained, Pretrained], named: tuple[str, str], text: NamedText | None, length: int, report: Report
) -> Reading | None:
    """Let each model predict a text."""
    if text is None:
        return None
    found = []
    for model, name in zip(both, named, strict=True):
        report(f"{name} reads {text.name} …")
        found.append(predict(model, text, length))
    return Reading(name=text.name, base=found[0], tuned=found[1])


def predict(found: Pretrained, text: NamedText, context_length: int) -> Perplexity:
    """Return how well a model predicts a text; see `evaluate_tokens`.

    Several documents are given as groundup trains on them: each behind the model's end_id, and none sees another. Only
    where a vocabulary has no such token, they are one text.

    Raises:
        InputError: a text of fewer than two tokens, or one that the vocabulary cannot spell.
    """
    end_id = found.tokenizer.end_id if len(text.documents) > 1 else None
    if end_id is None:
        ids = np.asarray(found.encode(text.text))
    else:
        ids = np.asarray([token for one in text.documents for token in (end_id, *found.encode(one))])
    logits_per_window = context_length * found.model.vocab_size
    return evaluate_tokens(
        found.model,
        ids,
        context_length=context_length,
        byte_lengths=byte_lengths_of(found.tokenizer),
        batch_size=max(1, min(64, LOGITS_AT_ONCE // logits_per_window)),
        end_id=end_id,
    )


def _prepared(found: Pretrained) -> Pretrained:
    return replace(found, model=prepare_for_inference(found.model, suggest_precision(found.model)))


def _drawing(found: Pretrained, ids: list[int], config: GenerationConfig) -> Iterator[Step]:
    """Return the steps of a text; what must be refused is refused now, nothing is drawn yet."""
    return stream(found.model, found.tokenizer, ids or found.opening(), config)


def _written(
    drawings: Sequence[Iterator[Step]], config: GenerationConfig, end_id: int | None, report: Callable[[], None]
) -> Writing:
    report()
    texts, n_ended = [], 0
    for drawing in drawings:
        steps = list(drawing)
        texts.append("".join(step.text for step in steps))
        n_ended += len(steps) < config.max_new_tokens or steps[-1].token == end_id
    return Writing(texts=tuple(texts), n_ended=n_ended)
