"""One reply of a model: drawn token by token, stopped from outside, and measured."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from groundup.configs.generation import GenerationConfig
from groundup.generation.prefix import Prefix
from groundup.generation.stream import stream
from groundup.models.gpt import GPT
from groundup.tokenization.base import Tokenizer


@dataclass
class Reply:
    """What has been said so far, and what it took."""

    n_prompt: int
    """Tokens of the conversation before it."""
    n_reused: int = 0
    """Of these, how many had been read in an earlier turn."""
    n_drawn: int = 0
    """Tokens of the reply."""
    text: str = ""
    """The reply."""
    seconds_to_first: float = 0.0
    """From the question to the first token, in which the prompt is read."""
    seconds_after: float = 0.0
    """From the first token to the last."""
    is_ended: bool = False
    """The model ended its turn, or a stop text did."""

    @property
    def tokens_per_second(self) -> float | None:
        """Tokens a second after the first one; None for a reply of one token."""
        return (self.n_drawn - 1) / self.seconds_after if self.n_drawn > 1 and self.seconds_after else None


def draw_reply(
    model: GPT,
    tokenizer: Tokenizer,
    ids: Sequence[int],
    config: GenerationConfig,
    *,
    prefix: Prefix,
    is_stopped: Callable[[], bool] = lambda: False,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[Reply, Iterator[str]]:
    """Return a reply that grows while the texts of the iterator, whole characters each, are taken.

    It never leaves the context, whose beginning says who speaks: it is cut where the context is full.

    Raises:
        InputError: what `stream` refuses; at once.

    Example:
        >>> from groundup.configs.model import GPTConfig
        >>> from groundup.tokenization.characters import CharacterTokenizer
        >>> model = GPT(GPTConfig(vocab_size=3, context_length=8, d_model=16, n_layers=1, n_heads=2))
        >>> config = GenerationConfig(max_new_tokens=20)
        >>> reply, texts = draw_reply(model, CharacterTokenizer("abc"), [0, 1, 2], config, prefix=Prefix(model))
        >>> len("".join(texts)), reply.n_drawn, reply.is_ended
        (5, 5, False)
    """
    room = model.context_length - len(ids)
    config = replace(config, max_new_tokens=max(1, min(config.max_new_tokens, room)))
    steps = stream(model, tokenizer, ids, config, prefix=prefix, is_stopped=is_stopped)
    reply = Reply(n_prompt=len(ids))

    def texts() -> Iterator[str]:
        asked, first, token = clock(), None, None
        for step in steps:
            now = clock()
            first = now if first is None else first
            reply.n_drawn, token = reply.n_drawn + 1, step.token
            reply.seconds_to_first, reply.seconds_after = first - asked, now - first
            reply.n_reused = prefix.n_reused
            reply.text += step.text
            if step.text:
                yield step.text
        reply.is_ended = token == tokenizer.end_id or (reply.n_drawn < config.max_new_tokens and not is_stopped())

    return reply, texts()
