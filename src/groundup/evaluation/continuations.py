"""How likely given texts are to follow others, many at once: the log-probability of ids after ids.

Shapes: N pairs, B rows of a batch, T ids of a row, D width, V vocabulary.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from groundup.errors import InputError
from groundup.generation.reading import evaluation_mode
from groundup.models.gpt import GPT

Pair = tuple[Sequence[int], Sequence[int]]
"""Ids that stand before, at least one, and ids that follow."""


class Continuation(NamedTuple):
    """A continuation as the model sees it."""

    log_probability: float
    """Natural log of the probability of all its ids after what stands before."""
    is_greedy: bool
    """Whether each of them was the likeliest."""


def score_continuations(model: GPT, pairs: Sequence[Pair], *, batch_size: int = 8) -> list[Continuation]:
    """Return how likely each pair's second ids are to follow its first, in the order given.

    Pairs that differ in nothing but their last id are read once: answers of one token cost as much as one of them. What
    stands before is cut off at the left where both do not fit into the context.

    Args:
        model: what predicts.
        pairs: N of them.
        batch_size: rows read at once; changes nothing but speed and memory.

    Raises:
        InputError: a continuation that is longer than the context.
        ValueError: nothing stands before, or batch_size below 1.

    Example:
        >>> from groundup.configs.model import GPTConfig
        >>> model = GPT(GPTConfig(vocab_size=4, context_length=8, d_model=16, n_layers=1, n_heads=2))
        >>> torch.nn.init.zeros_(model.token_embedding.weight)[0, 0].item()  # now every token is equally likely
        0.0
        >>> [round(found.log_probability, 3) for found in score_continuations(model, [([0], [1]), ([0, 1], [2, 3])])]
        [-1.386, -2.773]
    """
    if batch_size < 1:
        raise ValueError(f"expected a batch_size of at least 1, found {batch_size}")
    readings: dict[tuple[int, ...], list[int]] = {}
    for i, (before, after) in enumerate(pairs):
        if not before:
            raise ValueError("expected ids before each continuation, found none: begin with a begin or end token")
        if len(after) > model.context_length:
            raise InputError(
                f"expected continuations of at most {model.context_length:,} tokens, which this model sees at once, "
                f"found one of {len(after):,}: shorten it or take another model"
            )
        readings.setdefault((*before, *after)[-model.context_length - 1 : -1], []).append(i)
    found = [Continuation(0.0, True)] * len(pairs)
    ordered = sorted(readings, key=len, reverse=True)  # alike in length, and the largest batch first
    with torch.inference_mode(), evaluation_mode(model):
        for first in range(0, len(ordered), batch_size):
            batch = ordered[first : first + batch_size]
            hidden = model.hidden_states(_padded(batch).to(model.device))  # [B, T, D]
            for row, ids in zip(hidden, batch, strict=True):
                _score(model, row[: len(ids)], [(i, pairs[i][1]) for i in readings[ids]], found)
    return found


def _padded(rows: Sequence[Sequence[int]]) -> Tensor:
    """Return the rows [B, T]; what is behind their ends is never looked back at."""
    longest = max(map(len, rows))
    return torch.tensor([[*row, *[0] * (longest - len(row))] for row in rows])


def _score(model: GPT, hidden: Tensor, wanted: Sequence[tuple[int, Sequence[int]]], found: list[Continuation]) -> None:
    """Write into `found` how likely the ids are that follow one row's hidden states [T, D]."""
    longest = max(len(after) for _, after in wanted)
    logits = model.project(hidden[len(hidden) - longest :])  # [longest, V]; the other positions are never projected
    log_probabilities = torch.log_softmax(logits.float(), -1)
    for i, after in wanted:
        ids = torch.tensor(after, dtype=torch.int64, device=logits.device)
        own = log_probabilities[longest - len(after) :]
        total = own.gather(1, ids[:, None]).sum()
        found[i] = Continuation(float(total), bool((own.argmax(1) == ids).all()))
