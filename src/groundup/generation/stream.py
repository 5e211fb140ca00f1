"""Prompts to text: the decoding loop with a tokenizer, as a stream of steps or all at once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from groundup.configs.generation import GenerationConfig
from groundup.generation.decode import decode
from groundup.generation.sampling import Alternatives, Draw
from groundup.generation.stops import StopFinder
from groundup.models.gpt import GPT
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


def stream(model: GPT, tokenizer: Tokenizer, prompt: str | Sequence[int], config: GenerationConfig) -> Iterator[Step]:
    """Yield what is drawn after `prompt` (a text, or its ids), token by token; joined, the texts are `generate_text`.

    The prompt is not repeated. The text ends before a stop text (searched in the drawn text only), at the tokenizer's
    end-of-text token when config.stop_at_end, or after config.max_new_tokens. Ids that the tokenizer does not know are
    never drawn. For what happens past the context see `decode`.

    Raises:
        InputError: what `decode` refuses, and a prompt that the tokenizer cannot encode; at once, not at the first step.

    Example:
        >>> from groundup.configs.model import GPTConfig
        >>> from groundup.tokenization.characters import CharacterTokenizer
        >>> model = GPT(GPTConfig(vocab_size=3, context_length=8, d_model=16, n_layers=1, n_heads=2))
        >>> steps = list(stream(model, CharacterTokenizer("abc"), "ab", GenerationConfig(max_new_tokens=5, n_top=2)))
        >>> len("".join(step.text for step in steps)), len(steps[0].top)
        (5, 2)
    """  # noqa: E501 - a line of the example
    return (step for _, step in _text_steps(model, tokenizer, [prompt], config))


def generate_text(model: GPT, tokenizer: Tokenizer, prompts: Sequence[str], config: GenerationConfig) -> list[str]:
    """Return the text drawn after each prompt, without the prompt. Row i draws with config.seed + i; see `stream`.

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
    for row, step in _text_steps(model, tokenizer, prompts, config):
        texts[row] += step.text
    return texts


def _text_steps(
    model: GPT, tokenizer: Tokenizer, prompts: Sequence[str | Sequence[int]], config: GenerationConfig
) -> Iterator[tuple[int, Step]]:
    texts = [_Text(tokenizer, config) for _ in prompts]
    steps = decode(
        model,
        [tokenizer.encode(prompt) if isinstance(prompt, str) else prompt for prompt in prompts],
        config,
        end_id=tokenizer.end_id,
        vocab_size=tokenizer.vocab_size,
        is_finished=lambda row: texts[row].stop.is_found,
    )
    return ((one.row, texts[one.row].step(one)) for step in steps for one in step)


class _Text:
    """The text of one row as it grows."""

    def __init__(self, tokenizer: Tokenizer, config: GenerationConfig) -> None:
        self.stop = StopFinder(config.stop)
        self._decoder = IncrementalDecoder(tokenizer)
        self._end_id = tokenizer.end_id if config.stop_at_end else None
        self._n_left = config.max_new_tokens

    def step(self, one: Draw) -> Step:
        self._n_left -= 1
        is_end = one.token == self._end_id
        text = "" if is_end else self.stop.push(self._decoder.push(one.token))
        if is_end or not self._n_left:  # nothing can follow that would decide what is held back
            text += self.stop.push(self._decoder.flush()) + self.stop.flush()
        return Step(one.token, text, one.logprob, one.top)
