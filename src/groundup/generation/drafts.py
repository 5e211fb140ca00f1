"""Drafts: cheap guesses at the tokens that come next, for `speculate` to verify."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from groundup.configs.generation import GenerationConfig
from groundup.errors import InputError
from groundup.generation.prefix import Prefix
from groundup.generation.processors import chain
from groundup.generation.reading import evaluation_mode, next_logits
from groundup.generation.sampling import row_generators, take
from groundup.models.gpt import GPT
from groundup.tokenization.base import Tokenizer


@dataclass(frozen=True)
class Proposal:
    """Tokens that may come next."""

    tokens: Sequence[int]
    """Their ids, in order."""
    probabilities: Tensor | None = None
    """[n, V]: the distribution that each was drawn from, in float64. None: they were chosen, not drawn."""


class Draft(Protocol):
    """What `speculate` asks for tokens."""

    def propose(self, ids: Sequence[int], n: int) -> Proposal:
        """Return at most `n` tokens, perhaps none, that may follow the text `ids`."""
        ...


@dataclass(frozen=True)
class PromptLookup:
    """The draft that needs no model: what followed the last tokens where they stood before (Saxena 2023).

    It looks for the last `longest` tokens, then for fewer, and takes the latest place. For texts that quote
    themselves: edits, summaries, code, answers that repeat the question.

    Example:
        >>> PromptLookup().propose([7, 1, 2, 3, 8, 1, 2], 3)
        Proposal(tokens=[3, 8, 1], probabilities=None)
    """

    longest: int = 3
    """Most tokens that must have stood before."""

    def propose(self, ids: Sequence[int], n: int) -> Proposal:
        """Return the tokens that followed; none if the last token is new."""
        ids = list(ids)
        for length in range(min(self.longest, len(ids) - 1), 0, -1):
            tail = ids[-length:]
            for start in range(len(ids) - length - 1, -1, -1):
                if ids[start : start + length] == tail:
                    return Proposal(ids[start + length : start + length + n])
        return Proposal([])


def check_same_vocabulary(tokenizer: Tokenizer, drafting: Tokenizer) -> None:
    """Raise InputError unless each id spells the same in both: else a draft's tokens would mean other texts.

    Example:
        >>> from groundup.tokenization.characters import CharacterTokenizer
        >>> check_same_vocabulary(CharacterTokenizer("abc"), CharacterTokenizer("abd"))
        Traceback (most recent call last):
        groundup.errors.InputError: expected a draft model with the same vocabulary, found one in which id 2 is b'd', not b'c'
    """  # noqa: E501 - the message is shown whole
    expected, found = tokenizer.vocab_size, drafting.vocab_size
    if found != expected:
        raise InputError(f"expected a draft model with the same vocabulary, found one of {found} ids, not {expected}")
    for token in range(expected):
        ours, theirs = tokenizer.token_bytes(token), drafting.token_bytes(token)
        if ours != theirs:
            raise InputError(
                "expected a draft model with the same vocabulary, "
                f"found one in which id {token} is {theirs!r}, not {ours!r}"
            )


class ModelDraft:
    """A smaller model with the same vocabulary, which draws as `config` says.

    Past its own context it goes on from a part of the text. It keeps what it has read from call to call.

    Args:
        model: what predicts.
        config: how to draw: the nearer to the distribution that verifies, the more is accepted.
        n_tokens: ids below it may be drawn, as many as the model that verifies may draw.
        banned: as in `decode`.

    Raises:
        InputError: a model with fewer ids, or with a bias on others.

    Example:
        >>> from groundup.configs.model import GPTConfig
        >>> model = GPT(GPTConfig(vocab_size=10, context_length=8, d_model=16, n_layers=1, n_heads=2))
        >>> proposal = ModelDraft(model, GenerationConfig(), n_tokens=10).propose([1, 2, 3], 4)
        >>> len(proposal.tokens), proposal.probabilities.shape
        (4, torch.Size([4, 10]))
    """

    def __init__(
        self, model: GPT, config: GenerationConfig, *, n_tokens: int, banned: Sequence[Sequence[int]] = ()
    ) -> None:
        found = model.vocab_size
        if found < n_tokens:
            raise InputError(f"expected a draft model with the {n_tokens} ids of the model it helps, found {found}")
        self._model, self._config, self._n_tokens = model, config, n_tokens
        self._process = chain(config, banned, n_tokens=n_tokens)
        self._prefix = Prefix(model)
        # Not the generator that accepts and rejects: what is drawn must not know whether it will be accepted.
        self._generators = row_generators(config.seed + 1, 1)

    @torch.inference_mode()
    def propose(self, ids: Sequence[int], n: int) -> Proposal:
        """Return `n` tokens, or as many as the draft's context has room for."""
        context_length = self._model.context_length
        half = max(1, context_length // 2)
        n = min(n, context_length - half + 1)
        beyond = max(0, len(ids) + n - 1 - context_length)
        start = -(-beyond // half) * half  # by halves, so that most calls find the window where the last one left it
        text = torch.tensor([ids], device=self._model.device)  # [1, T]
        probabilities = []
        with evaluation_mode(self._model):
            self._prefix.begin([ids[start:]], self._config.cache)
            for _ in range(n):
                logits = next_logits(self._model, self._prefix.read(text[0, start:]), self._n_tokens)
                logits = self._process(logits, text)  # [1, V]
                token = take(logits, self._config, self._generators)
                text = torch.cat([text, token.to(text.device)[None]], dim=1)
                probabilities.append(logits.cpu().double().softmax(dim=-1))
        tokens = text[0, len(ids) :].tolist()
        return Proposal(tokens, torch.cat(probabilities) if self._config.strategy == "sample" and n else None)
