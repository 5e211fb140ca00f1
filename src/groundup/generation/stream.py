"""Prompts to text: decoding and beam search with a tokenizer, as a stream of steps or all at once."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from groundup.configs.generation import GenerationConfig
from groundup.errors import InputError
from groundup.generation.banned import banned_sequences
from groundup.generation.beam_search import beam_search, checked_search
from groundup.generation.decode import decode
from groundup.generation.drafts import Draft
from groundup.generation.hypotheses import Hypothesis
from groundup.generation.prefix import Prefix
from groundup.generation.sampling import Alternatives, Draw
from groundup.generation.speculative import speculate
from groundup.generation.stops import StopFinder
from groundup.models.gpt import GPT
from groundup.models.writer import Writer
from groundup.tokenization.base import IncrementalDecoder, Tokenizer


@dataclass(frozen=True)
class Step:
    """One drawn token and the text that it settles."""

    token: int
    """Its id; the last one may be the end-of-text token."""
    text: str
    """Text that is now certain: whole characters, nothing that may belong to a stop text. Often not the token's own."""
    logprob: float
    """Natural log of the token's probability under the model's own distribution; see `Draw`."""
    top: Alternatives = ()
    """The config.n_top most likely (token, log-probability), best first."""


class ScoredText(NamedTuple):
    """One of the n best texts."""

    text: str
    """What was found after the prompt."""
    score: float
    """By which it was compared; see `Hypothesis`."""


def stream(
    model: Writer,
    tokenizer: Tokenizer,
    prompt: str | Sequence[int],
    config: GenerationConfig,
    *,
    prefix: Prefix | None = None,
    draft: GPT | Draft | None = None,
    n_drafted: int = 4,
    is_stopped: Callable[[], bool] = lambda: False,
) -> Iterator[Step]:
    """Yield what is drawn after `prompt` (a text, or its ids), token by token; joined, the texts are `generate_text`.

    The prompt is not repeated. The text ends before a stop text (searched in the drawn text only), at the tokenizer's
    end-of-text token when config.stop_at_end, or after config.max_new_tokens. Ids that the tokenizer does not know are
    never drawn. For what happens past the context see `decode`. With strategy="beam" nothing is certain before the
    search ends: then the best text comes whole. A hypothesis that completes a stop text ends there, and its score
    counts the tokens of the stop text.

    Args:
        model: what predicts.
        tokenizer: what spells.
        prompt: what to continue. A text is encoded as it is: for a model that reads a begin token before every text (of
            the Llama family, most), give the ids that `Pretrained.encode` returns.
        config: how to draw.
        prefix: what the prompt may begin with, read before; see `Prefix`.
        draft: a smaller model with the same vocabulary, or any `Draft`, which guesses ahead; see `speculate`.
        n_drafted: most tokens guessed at once.
        is_stopped: asked at each step, from whatever thread; True ends the text. A search ends with its best so far.

    Raises:
        InputError: what `decode` refuses, and a prompt or banned text that the tokenizer cannot encode; a draft for
            strategy="beam", or one with a smaller vocabulary; at once, not at the first step.

    Example:
        >>> from groundup.configs.model import GPTConfig
        >>> from groundup.tokenization.characters import CharacterTokenizer
        >>> model = GPT(GPTConfig(vocab_size=3, context_length=8, d_model=16, n_layers=1, n_heads=2))
        >>> steps = list(stream(model, CharacterTokenizer("abc"), "ab", GenerationConfig(max_new_tokens=5, n_top=2)))
        >>> len("".join(step.text for step in steps)), len(steps[0].top)
        (5, 2)
    """
    if draft is None:
        return (step for _, step in _text_steps(model, tokenizer, [prompt], config, prefix, is_stopped))
    if config.strategy == "beam":
        raise InputError('expected strategy="sample" or "greedy" with a draft, found "beam": leave one out')
    draw = partial(speculate, model, draft, _ids(tokenizer, prompt), n_drafted=n_drafted)
    return (step for _, step in _drawn_steps(draw, tokenizer, 1, config, prefix, is_stopped))


def generate_text(
    model: Writer,
    tokenizer: Tokenizer,
    prompts: Sequence[str | Sequence[int]],
    config: GenerationConfig,
    *,
    prefix: Prefix | None = None,
) -> list[str]:
    """Return the text drawn after each prompt (a text, or its ids), without it. Row i draws with config.seed + i.

    A text is encoded as it is; when to give ids, and the rest, is said at `stream`.

    Raises:
        InputError: as `stream`.

    Example:
        >>> from groundup.configs.model import GPTConfig
        >>> from groundup.tokenization.characters import CharacterTokenizer
        >>> model = GPT(GPTConfig(vocab_size=3, context_length=8, d_model=16, n_layers=1, n_heads=2))
        >>> texts = generate_text(model, CharacterTokenizer("abc"), ["a", "cab"], GenerationConfig(max_new_tokens=5))
        >>> [len(text) for text in texts]
        [5, 5]
    """
    texts = [""] * len(prompts)
    for row, step in _text_steps(model, tokenizer, prompts, config, prefix):
        texts[row] += step.text
    return texts


def generate_n_best(
    model: Writer,
    tokenizer: Tokenizer,
    prompt: str | Sequence[int],
    config: GenerationConfig,
    *,
    prefix: Prefix | None = None,
) -> list[ScoredText]:
    """Return the config.beam.n_best texts that beam search finds after `prompt`, and their scores, best first.

    Raises:
        InputError: as `stream`; and another strategy than "beam".

    Example:
        >>> from groundup.configs.generation import BeamConfig
        >>> from groundup.configs.model import GPTConfig
        >>> from groundup.tokenization.characters import CharacterTokenizer
        >>> model = GPT(GPTConfig(vocab_size=3, context_length=8, d_model=16, n_layers=1, n_heads=2))
        >>> config = GenerationConfig(strategy="beam", max_new_tokens=5, beam=BeamConfig(n_best=2))
        >>> [len(text) for text, score in generate_n_best(model, CharacterTokenizer("abc"), "ab", config)]
        [5, 5]
    """
    if config.strategy != "beam":
        raise InputError(f'expected strategy="beam" to find the n best texts, found {config.strategy!r}')
    found = _search(model, tokenizer, [_ids(tokenizer, prompt)], config, prefix)()[0]
    texts = ("".join(step.text for step in _steps_of(one, tokenizer, config)) for one in found)
    return [ScoredText(text, one.score) for text, one in zip(texts, found, strict=True)]


def _text_steps(
    model: Writer,
    tokenizer: Tokenizer,
    prompts: Sequence[str | Sequence[int]],
    config: GenerationConfig,
    prefix: Prefix | None,
    is_stopped: Callable[[], bool] = lambda: False,
) -> Iterator[tuple[int, Step]]:
    ids = [_ids(tokenizer, prompt) for prompt in prompts]
    if config.strategy == "beam":
        return _best_steps(_search(model, tokenizer, ids, config, prefix, is_stopped), tokenizer, config)
    return _drawn_steps(partial(decode, model, ids), tokenizer, len(ids), config, prefix, is_stopped)


def _drawn_steps(
    draw: Callable[..., Iterator[list[Draw]]],
    tokenizer: Tokenizer,
    n_rows: int,
    config: GenerationConfig,
    prefix: Prefix | None,
    is_stopped: Callable[[], bool],
) -> Iterator[tuple[int, Step]]:
    """Return the texts of what `draw` draws, which is `decode` or `speculate` with model and prompts."""
    texts = [_Text(tokenizer, config) for _ in range(n_rows)]
    steps = draw(
        config=config,
        end_id=tokenizer.end_id,
        vocab_size=tokenizer.vocab_size,
        is_finished=lambda row: texts[row].stop.is_found or is_stopped(),
        banned=banned_sequences(tokenizer, config.banned),
        prefix=prefix,
    )
    return ((one.row, texts[one.row].step(one)) for step in steps for one in step)


def _ids(tokenizer: Tokenizer, prompt: str | Sequence[int]) -> Sequence[int]:
    return tokenizer.encode(prompt) if isinstance(prompt, str) else prompt


def _best_steps(
    search: Callable[[], list[list[Hypothesis]]], tokenizer: Tokenizer, config: GenerationConfig
) -> Iterator[tuple[int, Step]]:
    for row, found in enumerate(search()):
        yield from ((row, step) for step in _steps_of(found[0], tokenizer, config))


def _search(
    model: Writer,
    tokenizer: Tokenizer,
    prompts: Sequence[Sequence[int]],
    config: GenerationConfig,
    prefix: Prefix | None,
    is_stopped: Callable[[], bool] = lambda: False,
) -> Callable[[], list[list[Hypothesis]]]:
    """Return the search, which begins when it is called; what it would refuse is refused now."""
    end_id, vocab_size, banned = tokenizer.end_id, tokenizer.vocab_size, banned_sequences(tokenizer, config.banned)
    checked_search(model, prompts, config, end_id=end_id, vocab_size=vocab_size, banned=banned, prefix=prefix)
    stops = [stop.encode() for stop in config.stop]

    def holds_a_stop(tokens: Sequence[int]) -> bool:
        # In UTF-8 no character's bytes occur within another's, so bytes find what a search of characters finds.
        spelled = b"".join(map(tokenizer.token_bytes, tokens))
        return any(stop in spelled for stop in stops)

    return partial(
        beam_search,
        model,
        prompts,
        config,
        end_id=end_id,
        vocab_size=vocab_size,
        banned=banned,
        is_finished=holds_a_stop if stops else None,
        is_stopped=is_stopped,
        prefix=prefix,
    )


def _steps_of(found: Hypothesis, tokenizer: Tokenizer, config: GenerationConfig) -> Iterator[Step]:
    text = _Text(tokenizer, config)
    for draw in found.draws:
        yield text.step(draw, is_last=draw is found.draws[-1])


class _Text:
    """The text of one row as it grows."""

    def __init__(self, tokenizer: Tokenizer, config: GenerationConfig) -> None:
        self.stop = StopFinder(config.stop)
        self._decoder = IncrementalDecoder(tokenizer)
        self._end_id = tokenizer.end_id if config.stop_at_end else None
        self._n_left = config.max_new_tokens

    def step(self, one: Draw, *, is_last: bool = False) -> Step:
        self._n_left -= 1
        is_end = one.token == self._end_id
        text = "" if is_end else self.stop.push(self._decoder.push(one.token))
        if is_end or is_last or not self._n_left:  # nothing can follow that would decide what is held back
            text += self.stop.push(self._decoder.flush()) + self.stop.flush()
        return Step(one.token, text, one.logprob, one.top)
