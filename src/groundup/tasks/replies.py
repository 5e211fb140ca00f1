"""A reply that a model draws while it learns, to look at."""

from collections.abc import Sequence

from groundup.configs.generation import GenerationConfig
from groundup.data.packing import Example
from groundup.generation import decode
from groundup.models.gpt import GPT
from groundup.tokenization.base import Tokenizer


def opening_of(example: Example) -> list[int]:
    """Return the ids before the first one that is learned: where the model is asked to speak.

    Example:
        >>> import numpy as np
        >>> opening_of(Example(np.array([5, 6, 7]), np.array([False, False, True])))
        [5, 6]
    """
    opening: list[int] = example.ids[: int(example.is_learned.argmax())].tolist()
    return opening


def sample_reply(model: GPT, tokenizer: Tokenizer, opening: Sequence[int], *, n_tokens: int, seed: int) -> str:
    """Return what was said before and the reply that a model draws to it, at most `n_tokens` and within its context.

    Example:
        >>> from groundup.configs.model import GPTConfig
        >>> from groundup.tokenization.characters import CharacterTokenizer
        >>> model = GPT(GPTConfig(vocab_size=3, context_length=8, d_model=16, n_layers=1, n_heads=2))
        >>> said = sample_reply(model, CharacterTokenizer("abc"), [0, 1], n_tokens=20, seed=0)
        >>> said[:2], len(said)
        ('ab', 8)
    """
    room = model.context_length - len(opening)
    if min(n_tokens, room) < 1:
        return ""
    config = GenerationConfig(max_new_tokens=min(n_tokens, room), seed=seed)
    end_id = tokenizer.end_id
    steps = decode(model, [list(opening)], config, end_id=end_id, vocab_size=tokenizer.vocab_size)
    drawn = [one.token for step in steps for one in step]
    return tokenizer.decode([*opening, *(token for token in drawn if token != end_id)])
