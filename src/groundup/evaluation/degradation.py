"""What a model lost: the model before and after read the same text, and all their probabilities are compared.

Shapes: B batch, T positions of a window, D width, V vocabulary, N tokens of the text, M scored positions, W windows.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from groundup.errors import InputError
from groundup.evaluation.bootstrap import Indices, confidence_interval
from groundup.evaluation.perplexity import Perplexity, Tokens, count_bytes, scored_states, windows
from groundup.generation.reading import evaluation_mode
from groundup.models.gpt import GPT

LOGITS_AT_ONCE = 1 << 22
"""Numbers that either model's logits may have at a time: 16 MB in float32, whatever the vocabulary."""
ENOUGH_WINDOWS = 8
"""Fewer tell too little of how windows differ: an interval of theirs would be too narrow."""
Report = Callable[[str], None]
"""Is told what is being done."""


@dataclass(frozen=True, kw_only=True)
class Degradation:
    """A model before and after on one text.

    Example:
        >>> before, after = (Perplexity(loss=loss, n_tokens=8, n_bytes=8) for loss in (1.0, 1.0 + math.log(1.25)))
        >>> found = Degradation(before=before, after=after, increase_interval=(0.2, 0.3), n_windows=2,
        ...     largest_logit_difference=0.5, kl=0.25, agreement=0.75)
        >>> round(found.increase, 6)
        0.25
    """

    before: Perplexity
    """How well the model predicted the text before."""
    after: Perplexity
    """How well it does now."""
    increase_interval: tuple[float, float] | None
    """95 % interval of `increase`: of all texts like this one, a sample of which its windows are. None: too few."""
    n_windows: int
    """Windows that the interval was found from."""
    largest_logit_difference: float
    """Of all tokens at all positions."""
    kl: float
    """KL(before ‖ after), in nats per token: what the loss would rise by on text that the model before had written."""
    agreement: float
    """Share of positions at which both hold the same token most likely."""

    @property
    def increase(self) -> float:
        """By which part perplexity rose: 0.03 is 3 %."""
        return _grown(self.after.loss - self.before.loss)


@dataclass(frozen=True)
class Differences:
    """Two models' logits at the same M positions, compared.

    Example: see `compare_hidden`.
    """

    losses: Tensor
    """Negative log-probability of the targets, before and after: float64 [2, M]."""
    kl: Tensor
    """KL(before ‖ after): float64 [M]."""
    agrees: Tensor
    """Whether the most likely token is the same: bool [M]."""
    largest: float
    """Largest difference of a logit."""


@torch.no_grad()
def compare_logits(
    before: GPT,
    after: GPT,
    ids: Tokens,
    *,
    context_length: int,
    byte_lengths: npt.NDArray[np.int64],
    batch_size: int = 8,
    end_id: int | None = None,
    report: Report = lambda line: None,
) -> Degradation:
    """Let both models predict every token of a text but its first, in the windows of `evaluate_tokens`.

    Both are held at once, for probabilities of V tokens at each position are too many to keep; of their logits only
    LOGITS_AT_ONCE are, whatever text and vocabulary.

    Args:
        before: the model as it was.
        after: what became of it, of the same vocabulary.
        ids: the text, tokens [N].
        context_length: T, the tokens of a window.
        byte_lengths: bytes that each token spells [V]; see `byte_lengths_of`.
        batch_size: windows in one forward pass; changes nothing but speed and memory.
        end_id: the token before each document, across which nothing is attended to. None: one text.
        report: is told how far it is.

    Raises:
        InputError: fewer than two tokens, models of different vocabularies, or logits that are not finite.

    Example:
        >>> from groundup.configs.model import GPTConfig
        >>> model = GPT(GPTConfig(vocab_size=10, context_length=8, d_model=16, n_layers=1, n_heads=2))
        >>> ids, one_byte_each = np.arange(40) % 10, np.ones(10, np.int64)
        >>> found = compare_logits(model, model, ids, context_length=8, byte_lengths=one_byte_each)
        >>> found.increase, found.kl, found.agreement
        (0.0, 0.0, 1.0)
    """
    n_tokens = _n_tokens(before, after, ids)
    found: list[Differences] = []
    sums: list[Tensor] = []
    counts: list[int] = []
    with evaluation_mode(before), evaluation_mode(after):
        for rows, n_scored in windows(np.asarray(ids), n_tokens, context_length, batch_size):
            report(f"{sum(counts):,} of {n_tokens:,} tokens compared")
            found.append(_compare_windows(before, after, rows.to(before.device), n_scored, end_id))
            sums.append(found[-1].losses.view(2, len(rows), n_scored).sum(-1))  # [2, B]
            counts += [n_scored] * len(rows)
    by_window = torch.cat(sums, 1).numpy()  # [2, W]
    n_bytes = count_bytes(ids[1:], byte_lengths)
    both = [Perplexity(loss=float(of.sum()) / n_tokens, n_tokens=n_tokens, n_bytes=n_bytes) for of in by_window]
    return Degradation(
        before=both[0],
        after=both[1],
        increase_interval=_interval(by_window[1] - by_window[0], np.asarray(counts)),
        n_windows=len(counts),
        largest_logit_difference=max(piece.largest for piece in found),
        kl=max(0.0, torch.cat([piece.kl for piece in found]).mean().item()),  # rounding may leave less than nothing
        agreement=torch.cat([piece.agrees for piece in found]).double().mean().item(),
    )


def compare_hidden(before: GPT, after: GPT, hidden: tuple[Tensor, Tensor], targets: Tensor) -> Differences:
    """Return how the logits of `hidden` (two of [M, D]) differ, a few rows at a time; `targets` is int64 [M].

    Raises:
        InputError: logits that are not finite.

    Example:
        >>> from groundup.configs.model import GPTConfig
        >>> config = GPTConfig(vocab_size=5, context_length=8, d_model=4, n_layers=1, n_heads=1)
        >>> one, other = GPT(config), GPT(config)
        >>> found = compare_hidden(one, other, (torch.zeros(3, 4), torch.zeros(3, 4)), torch.tensor([0, 1, 2]))
        >>> found.losses.exp().round(decimals=4).tolist()[1], found.largest  # uniform: 5 equally likely tokens
        ([5.0, 5.0, 5.0], 0.0)
    """
    found = [
        _compare_rows(before.project(hidden[0][rows]), after.project(hidden[1][rows]), targets[rows])
        for rows in pieces(len(targets), before.vocab_size)
    ]
    largest = torch.stack([piece.pop("largest") for piece in found]).max().item()
    if not math.isfinite(largest):
        raise InputError(
            "expected finite logits of both models, found some that are not: a damaged or overflowing model"
        )
    joined = {name: torch.cat([piece[name] for piece in found], dim=-1) for name in found[0]}
    return Differences(losses=joined["losses"], kl=joined["kl"], agrees=joined["agrees"], largest=largest)


def _n_tokens(before: GPT, after: GPT, ids: Tokens) -> int:
    """Return how many tokens can be predicted, or refuse what cannot be compared."""
    if before.vocab_size != after.vocab_size:
        raise InputError(
            f"expected models of one vocabulary, found {before.vocab_size:,} and {after.vocab_size:,} tokens"
        )
    if len(ids) < 2:
        raise InputError(f"expected at least 2 tokens to compare on, found {len(ids)}: take a longer text")
    return len(ids) - 1


def _compare_windows(before: GPT, after: GPT, rows: Tensor, n_scored: int, end_id: int | None) -> Differences:
    one, other = (scored_states(model, rows, n_scored, end_id).flatten(0, 1) for model in (before, after))
    return compare_hidden(before, after, (one, other), rows[:, -n_scored:].flatten())


def _compare_rows(one: Tensor, other: Tensor, targets: Tensor) -> dict[str, Tensor]:
    """Return `Differences` of logits [M, V] as tensors by name."""
    precise = torch.promote_types(one.dtype, torch.float32)
    log_p, log_q = (F.log_softmax(logits.to(precise), dim=-1) for logits in (one, other))
    losses = torch.stack([-of.gather(1, targets[:, None])[:, 0] for of in (log_p, log_q)])
    largest = (one - other).abs_().amax()
    agrees = one.argmax(-1) == other.argmax(-1)
    kl = log_q.neg_().add_(log_p).mul_(log_p.exp_()).sum(-1)
    # In float64 on the host: not every device has it.
    return {"losses": losses.cpu().double(), "kl": kl.cpu().double(), "agrees": agrees.cpu(), "largest": largest.cpu()}


def pieces(n_rows: int, vocab_size: int) -> Iterator[slice]:
    """Yield slices of hidden states whose logits, LOGITS_AT_ONCE at most, are made at a time.

    Example:
        >>> [(part.start, part.stop) for part in pieces(3, LOGITS_AT_ONCE // 2)]
        [(0, 2), (2, 4)]
    """
    at_once = max(1, LOGITS_AT_ONCE // vocab_size)
    return (slice(first, first + at_once) for first in range(0, n_rows, at_once))


def _interval(differences: npt.NDArray[np.float64], counts: npt.NDArray[np.int64]) -> tuple[float, float] | None:
    """Return the 95 % interval of the increase, of windows with these summed differences of the loss [W]."""
    if len(counts) < ENOUGH_WINDOWS:
        return None

    def rise(drawn: Indices) -> float:
        return float(differences[drawn].sum() / counts[drawn].sum())

    low, high = confidence_interval(rise, len(counts))
    return _grown(low), _grown(high)


def _grown(rise: float) -> float:
    """Return by which part perplexity grows when the loss rises by so many nats."""
    return math.expm1(rise) if rise < 709 else math.inf  # exp(709) is about the largest float
