"""From a next-token distribution to a token: greedy or drawn with each row's own generator.

Shapes: B rows, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from groundup.configs.generation import GenerationConfig
from groundup.errors import InputError

Alternatives = tuple[tuple[int, float], ...]
"""Tokens and their log-probabilities, the most likely first."""


@dataclass(frozen=True)
class Draw:
    """One token of one row."""

    row: int
    """Which prompt it continues."""
    token: int
    """Its id."""
    logprob: float
    """Natural log of its probability under the model's own distribution, before penalty, temperature and filters.

    So values can be compared between settings, and their sum is the log-probability of the text. Ids beyond the
    tokenizer's vocabulary are no part of the distribution."""
    top: Alternatives
    """The most likely tokens of the same distribution, whether or not one of them was drawn."""


def row_generators(seed: int, n_rows: int) -> list[torch.Generator]:
    """Return a generator for each row; row i is seeded with `seed` + i, so that it can be repeated alone.

    They live on the CPU whatever the device of the model, so that a seed means the same everywhere.

    Example:
        >>> [g.initial_seed() for g in row_generators(7, 2)]
        [7, 8]
    """
    return [torch.Generator().manual_seed((seed + row) % 2**63) for row in range(n_rows)]


def check_strategy(config: GenerationConfig) -> None:
    """Raise InputError for beams, whose tokens are not known one by one."""
    if config.strategy == "beam":
        raise InputError(
            'expected strategy "sample" or "greedy" to draw token by token, found "beam": '
            "use generate, stream or beam_search"
        )


def take(logits: Tensor, config: GenerationConfig, generators: Sequence[torch.Generator]) -> Tensor:
    """Return one id of each row by config.strategy: [B, V] -> int64 [B], on the CPU."""
    return greedy(logits) if config.strategy == "greedy" else draw(logits, generators)


def greedy(logits: Tensor) -> Tensor:
    """Return the id of the largest logit of each row: [B, V] -> int64 [B], on the CPU.

    Example:
        >>> greedy(torch.tensor([[0.0, 2.0, 1.0]])).tolist()
        [1]
    """
    return logits.argmax(dim=-1).cpu()


def draw(logits: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
    """Draw one id from softmax(logits) in each row: [B, V] -> int64 [B], on the CPU.

    Row b takes one number from `generators[b]`, whatever the other rows do: the distribution function is inverted
    (Devroye 1986, section III.2) in float64, and ids of probability 0 are never drawn.

    Example:
        >>> draw(torch.tensor([[0.0, -torch.inf], [-torch.inf, 0.0]]), row_generators(0, 2)).tolist()
        [0, 1]
    """
    reached = logits.cpu().double().softmax(dim=-1).cumsum(dim=-1)  # [B, V]: probability of this id or a smaller one
    uniform = torch.stack([torch.rand((), generator=g, dtype=torch.float64) for g in generators])  # [B], in [0, 1)
    # Times the last sum, which rounding keeps a little off 1: the first id whose sum is above always exists.
    return torch.searchsorted(reached, (uniform * reached[:, -1])[:, None], right=True)[:, 0]


def log_probabilities(logits: Tensor) -> Tensor:
    """Return log softmax of logits [B, V].

    Raises:
        InputError: when they are NaN, as those of a diverged model are.

    Example:
        >>> log_probabilities(torch.zeros(1, 2)).exp().tolist()
        [[0.5, 0.5]]
    """
    logprobs = logits.log_softmax(dim=-1)
    if logprobs[:, 0].isnan().any():  # one NaN or infinite logit makes its whole row NaN
        raise InputError(
            "expected finite logits, found NaN: the model has diverged, use an earlier checkpoint "
            "(or, when drawing in float16, it overflowed: use bfloat16)"
        )
    return logprobs


def report(rows: Sequence[int], tokens: Tensor, logprobs: Tensor, n_top: int) -> list[Draw]:
    """Return what was drawn in `rows`: `tokens` [B] and the `n_top` most likely, with their `logprobs` [B, V].

    Example:
        >>> report([3], torch.tensor([1]), log_probabilities(torch.tensor([[1.0, 1.0]])), n_top=0)
        [Draw(row=3, token=1, logprob=-0.6931471824645996, top=())]
    """
    chosen = logprobs.gather(-1, tokens.to(logprobs.device)[:, None])[:, 0].tolist()
    best, ids = logprobs.topk(min(n_top, logprobs.shape[-1]), dim=-1)  # [B, n_top]
    tops = [tuple(zip(i, v, strict=True)) for i, v in zip(ids.tolist(), best.tolist(), strict=True)]
    return [Draw(*values) for values in zip(rows, tokens.tolist(), chosen, tops, strict=True)]
