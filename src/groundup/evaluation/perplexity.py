"""How well a model predicts a text: loss, perplexity and bits per byte over overlapping windows.

Shapes: B batch, T positions of a window, D width, V vocabulary, N tokens of the text.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from groundup.errors import InputError
from groundup.layers.masks import document_mask
from groundup.models.gpt import GPT
from groundup.tokenization.base import Tokenizer

Tokens = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True, kw_only=True)
class Perplexity:
    """What a model makes of a text. Only bits per byte can be compared between tokenizers.

    Example:
        >>> one_bit_a_token = Perplexity(loss=math.log(2), n_tokens=8, n_bytes=4)
        >>> one_bit_a_token.perplexity, one_bit_a_token.bits_per_byte
        (2.0, 2.0)
    """

    loss: float
    """Mean negative log-probability of a token, in nats."""
    n_tokens: int
    """Tokens that were predicted."""
    n_bytes: int
    """UTF-8 bytes that those tokens spell; special tokens spell none."""

    @property
    def perplexity(self) -> float:
        """The number of equally likely tokens that would be as hard to guess: exp(loss)."""
        return math.exp(self.loss) if self.loss < 709 else math.inf  # exp(709) is about the largest float

    @property
    def bits_per_byte(self) -> float:
        """Bits that an arithmetic coder using this model would spend on one byte of the text."""
        return self.loss * self.n_tokens / (math.log(2) * self.n_bytes) if self.n_bytes else math.inf


@torch.no_grad()
def evaluate_tokens(
    model: GPT,
    ids: Tokens,
    *,
    context_length: int,
    byte_lengths: npt.NDArray[np.int64],
    max_tokens: int | None = None,
    batch_size: int = 8,
    end_id: int | None = None,
) -> Perplexity:
    """Predict every token of a text but its first, each with at least half a context of past (or all there is).

    Windows overlap by half: of each, only the last half is scored (of the first one all of it), so a token is never
    judged with its past cut off just before it, at twice the cost of windows laid end to end. Dropout is off.

    Args:
        model: what predicts; its mode (train or eval) is left as it was.
        ids: the text, tokens [N].
        context_length: T, the tokens of a window.
        byte_lengths: bytes that each token spells [V]; see `byte_lengths_of`.
        max_tokens: predict the first so many only. None: all N - 1.
        batch_size: windows in one forward pass; changes nothing but speed and memory.
        end_id: the token before each document, across which nothing is attended to. None: one text.

    Raises:
        InputError: fewer than two tokens, so nothing to predict.
        ValueError: context_length, max_tokens or batch_size below 1.
    """
    if min(context_length, batch_size, 1 if max_tokens is None else max_tokens) < 1:
        raise ValueError(f"expected positive sizes, found {context_length=}, {max_tokens=}, {batch_size=}")
    n_tokens = min(len(ids) - 1, len(ids) if max_tokens is None else max_tokens)
    if n_tokens < 1:
        raise InputError(f"expected at least 2 tokens to evaluate on, found {len(ids)}: take a longer text")
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    try:
        sums = [
            _summed_loss(model, rows.to(device), n_scored, end_id)
            for rows, n_scored in windows(np.asarray(ids), n_tokens, context_length, batch_size)
        ]
    finally:
        model.train(was_training)
    # Summed on the host in float64: not every device has it, and one transfer at the end waits only once.
    loss = torch.stack(sums).cpu().double().sum().item() / n_tokens
    return Perplexity(loss=loss, n_tokens=n_tokens, n_bytes=count_bytes(ids[1 : n_tokens + 1], byte_lengths))


def byte_lengths_of(tokenizer: Tokenizer) -> npt.NDArray[np.int64]:
    """Return how many bytes each token spells: [V]. Special tokens stand for no text, so they have none.

    Example:
        >>> from groundup.tokenization.characters import CharacterTokenizer
        >>> byte_lengths_of(CharacterTokenizer("aé€")).tolist()
        [1, 2, 3]
    """
    special = set(tokenizer.special_tokens.values())
    lengths = (0 if token in special else len(tokenizer.token_bytes(token)) for token in range(tokenizer.vocab_size))
    return np.fromiter(lengths, dtype=np.int64, count=tokenizer.vocab_size)


def count_bytes(ids: Tokens, byte_lengths: npt.NDArray[np.int64]) -> int:
    """Return how many bytes the tokens spell, a million at a time so that a memory-mapped file stays on disk.

    Example:
        >>> count_bytes(np.array([0, 2, 2]), np.array([1, 2, 3]))
        7
    """
    piece = 1 << 20
    return sum(int(byte_lengths[ids[first : first + piece]].sum()) for first in range(0, len(ids), piece))


def windows(ids: Tokens, n_tokens: int, context_length: int, batch_size: int) -> Iterator[tuple[Tensor, int]]:
    """Yield (rows [B, T + 1], how many tokens at the end of each row to score): each of the first N once, in order.

    Args:
        ids: at least N + 1 tokens; the first is only read.
        n_tokens: N, at least 1.
        context_length: T, the tokens of a window; windows overlap by half.
        batch_size: most rows at a time.

    Example:
        >>> [(rows[:, 1:].tolist(), n) for rows, n in windows(np.arange(8), 7, context_length=4, batch_size=2)]
        [([[1, 2, 3, 4]], 4), ([[3, 4, 5, 6]], 2), ([[5, 6, 7]], 1)]
    """
    stride = max(1, context_length // 2)
    first = min(context_length, n_tokens)
    yield _rows(ids, np.zeros(1, dtype=np.int64), first), first
    n_full = (n_tokens - first) // stride
    starts = np.arange(1, n_full + 1) * stride
    for i in range(0, n_full, batch_size):
        yield _rows(ids, starts[i : i + batch_size], context_length), stride
    rest = n_tokens - first - n_full * stride
    if rest:
        start = (n_full + 1) * stride
        yield _rows(ids, np.array([start]), n_tokens - start), rest


def _rows(ids: Tokens, starts: npt.NDArray[np.int64], length: int) -> Tensor:
    return torch.from_numpy(ids[starts[:, None] + np.arange(length + 1)].astype(np.int64))  # [B, T + 1]


def scored_states(model: GPT, rows: Tensor, n_scored: int, end_id: int | None) -> Tensor:
    """Return the hidden states at the positions of `windows` that are scored: rows [B, T + 1] -> [B, scored, D].

    Example:
        >>> from groundup.configs.model import GPTConfig
        >>> model = GPT(GPTConfig(vocab_size=5, context_length=8, d_model=4, n_layers=1, n_heads=1))
        >>> scored_states(model, torch.tensor([[1, 2, 3, 4]]), 2, end_id=None).shape
        torch.Size([1, 2, 4])
    """
    inputs = rows[:, :-1]
    mask = None if end_id is None else document_mask(inputs, end_id)
    return model.hidden_states(inputs, mask=mask)[:, -n_scored:]


def _summed_loss(model: GPT, rows: Tensor, n_scored: int, end_id: int | None) -> Tensor:
    hidden = scored_states(model, rows, n_scored, end_id)
    logits = model.project(hidden).flatten(0, 1)  # [B * scored, V]; the other positions are never projected
    precise = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return F.cross_entropy(precise, rows[:, -n_scored:].flatten(), reduction="sum")
