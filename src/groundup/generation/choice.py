"""Constrained choice: which of some given texts a model finds the most likely to follow a prompt.

Shapes: N choices, T tokens of the longest one, R tokens of all together, D width.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch.nn.utils.rnn import pad_sequence

from groundup.errors import InputError
from groundup.generation.prompts import checked_prompts
from groundup.generation.reading import evaluation_mode, next_logits, prefill
from groundup.generation.sampling import log_probabilities
from groundup.layers.cache import Cache
from groundup.models.gpt import GPT
from groundup.tokenization.base import Tokenizer

TOKENS_AT_ONCE = 8192
"""Tokens, prompt included, whose keys and values are held for one batch of choices: 380 MB for SmolLM2-135M."""
ROWS_AT_ONCE = 256
"""Distributions over the vocabulary that are held at once: 50 MB for SmolLM2-135M."""


@dataclass(frozen=True)
class Scored:
    """One choice, as the model sees it."""

    text: str
    """The choice."""
    tokens: tuple[int, ...]
    """What was scored: the ids that follow what all choices share of the prompt."""
    logprobs: tuple[float, ...]
    """Natural log of each token's probability."""
    n_bytes: int
    """UTF-8 bytes that the tokens spell."""

    @property
    def total(self) -> float:
        """Log-likelihood: the sum of the log-probabilities."""
        return sum(self.logprobs)

    @property
    def per_byte(self) -> float:
        """Log-likelihood divided by the bytes."""
        return self.total / self.n_bytes


@dataclass(frozen=True)
class Chosen:
    """The most likely choice, and how each one scored."""

    index: int
    """Its place among the choices."""
    text: str
    """The choice itself."""
    scored: tuple[Scored, ...]
    """Every choice, in the order given."""


def choose(
    model: GPT,
    tokenizer: Tokenizer,
    prompt: str | Sequence[int],
    choices: Sequence[str],
    *,
    by: Literal["total", "per_byte"] = "total",
    ends: bool = False,
) -> Chosen:
    """Return which of `choices` is the most likely after `prompt` (a text, or its ids); of equals, the first given.

    By "total", the log-likelihood, it is the one that the model would write with the greatest probability. Long texts
    are less likely than short ones, and one that begins another is never less likely than it: ask for `ends`, the
    likelihood that the text is written and then ends, or decide "per_byte", as multiple-choice tests with answers of
    different lengths do.

    Prompt and choice are encoded together, as they would stand in a text: "is " and "red" may share the token " red".
    Then the end of the prompt that some choice changes is scored with every choice; it is the same text for all, so
    their order is that of the choices. Only where nothing of a prompt would be left are the two encoded apart. To a
    prompt of ids the choice's own ids are added. The prompt is read once; its keys and values serve all choices.

    Args:
        model: what predicts.
        tokenizer: the one that it was trained with.
        prompt: what stands before; an empty one begins with the end-of-text token. A text is encoded as it is: for a
            model that reads a begin token before every text give the ids that `Pretrained.encode` returns.
        choices: at least one; no two equal, none empty.
        by: the property of `Scored` that decides.
        ends: score the end-of-text token behind each choice too.

    Raises:
        InputError: unusable choices, `ends` for a tokenizer without an end-of-text token, prompt and choice longer than
            the context, what `decode` refuses in prompts, a text that cannot be encoded, or logits that are NaN.

    Example:
        >>> from groundup.configs.model import GPTConfig
        >>> from groundup.tokenization.characters import CharacterTokenizer
        >>> model = GPT(GPTConfig(vocab_size=3, context_length=8, d_model=16, n_layers=1, n_heads=2))
        >>> torch.nn.init.zeros_(model.token_embedding.weight)[0, 0].item()  # now every token is equally likely
        0.0
        >>> chosen = choose(model, CharacterTokenizer("abc"), "ab", ["aaa", "c"])
        >>> chosen.text, [round(one.total, 3) for one in chosen.scored]
        ('c', [-3.296, -1.099])
    """
    _check(choices)
    end = _end(tokenizer) if ends else []
    head, tails = _encoded(tokenizer, prompt, choices)
    logprobs = _read(model, tokenizer, head, [tail + end for tail in tails])
    sizes = [sum(len(tokenizer.token_bytes(token)) for token in tail) for tail in tails]
    scored = tuple(
        Scored(text, (*tail, *end), tuple(values), size)
        for text, tail, values, size in zip(choices, tails, logprobs, sizes, strict=True)
    )
    scores = [one.total if by == "total" else one.per_byte for one in scored]
    best = scores.index(max(scores))
    return Chosen(best, choices[best], scored)


def _check(choices: Sequence[str]) -> None:
    if not choices:
        raise InputError("expected texts to choose from, found none: give at least one")
    for place, text in enumerate(choices):
        if not text:
            raise InputError(f"expected non-empty choices, found an empty one (choice {place}): leave it out")
        if text in choices[:place]:
            raise InputError(f"expected different choices, found {text!r} twice: give it once")


def _end(tokenizer: Tokenizer) -> list[int]:
    if tokenizer.end_id is None:
        raise InputError("expected an end-of-text token to score the end, found a tokenizer without: leave out ends")
    return [tokenizer.end_id]


def _encoded(
    tokenizer: Tokenizer, prompt: str | Sequence[int], choices: Sequence[str]
) -> tuple[list[int], list[list[int]]]:
    """Return the ids that stand before every choice, and the ids of each choice that follow them."""
    if isinstance(prompt, str):
        head = tokenizer.encode(prompt)
        together = [tokenizer.encode(prompt + choice) for choice in choices]
        n_shared = min(_n_shared(head, ids) for ids in together)
        if n_shared:
            return head[:n_shared], [ids[n_shared:] for ids in together]
    else:
        head = list(prompt)
    return head, [tokenizer.encode(choice) for choice in choices]


def _n_shared(head: list[int], ids: list[int]) -> int:
    """Tokens with which both begin; at least one of `ids` is left to score."""
    same = [a == b for a, b in zip(head, ids[:-1], strict=False)]
    return same.index(False) if False in same else len(same)


@torch.inference_mode()
def _read(model: GPT, tokenizer: Tokenizer, head: list[int], tails: list[list[int]]) -> list[list[float]]:
    """Return the log-probability of each token of each tail, all of which follow `head`."""
    [head], n_tokens = checked_prompts(model, [head], tokenizer.end_id, tokenizer.vocab_size)
    longest = len(head) + max(map(len, tails))
    if longest > model.context_length:
        raise InputError(
            f"expected prompt and choice of at most {model.context_length} tokens together, this model's "
            f"context_length, found {longest}: shorten the prompt"
        )
    checked_prompts(model, tails, tokenizer.end_id, n_tokens)
    rows = max(1, TOKENS_AT_ONCE // longest)
    with evaluation_mode(model):
        cache = model.new_cache(1, longest)
        last = prefill(model, [torch.tensor(head, device=cache.device)], cache)  # [1, D]
        first = log_probabilities(next_logits(model, last, n_tokens))[0].tolist()
        rest = [
            values
            for begin in range(0, len(tails), rows)
            for values in _read_rest(model, cache, tails[begin : begin + rows], n_tokens)
        ]
    return [[first[tail[0]], *values] for tail, values in zip(tails, rest, strict=True)]


def _read_rest(model: GPT, cache: Cache, tails: list[list[int]], n_tokens: int) -> list[list[float]]:
    """Return the log-probabilities of all but the first token of each tail, behind the one row of `cache`."""
    device = cache.device
    ids = pad_sequence([torch.tensor(tail, device=device) for tail in tails], batch_first=True, padding_value=-1)
    if ids.shape[1] == 1:
        return [[] for _ in tails]
    there = ids[:, 1:] >= 0  # [N, T - 1]
    copies = cache.select_rows([0] * len(tails))
    hidden = model.hidden_states(ids[:, :-1].clamp(min=0), cache=copies)[there]  # [R, D]: what has a token to predict
    targets, found = ids[:, 1:][there], list[float]()
    for begin in range(0, len(targets), ROWS_AT_ONCE):
        block = slice(begin, begin + ROWS_AT_ONCE)
        logprobs = log_probabilities(next_logits(model, hidden[block], n_tokens))
        found += logprobs.gather(-1, targets[block, None])[:, 0].tolist()
    values = iter(found)
    return [[next(values) for _ in tail[1:]] for tail in tails]
