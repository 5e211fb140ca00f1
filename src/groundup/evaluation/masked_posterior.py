"""An encoder's predictions of hidden words of tales, beside the best that any model could make: the exact posterior.

Shapes: n hidden tokens, V vocabulary.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from groundup.data.tales_posterior import NoReadingError, Posterior, Words, posteriors
from groundup.data.tales_story import STORY
from groundup.evaluation.masked_prediction import HiddenTexts, predict_hidden
from groundup.models.encoder import Encoder
from groundup.tokenization.base import Tokenizer


@dataclass(frozen=True, kw_only=True)
class AgainstPosterior:
    """What an encoder makes of hidden tokens, and what can be made of them."""

    n_hidden: int
    """How many tokens were hidden."""
    accuracy: float
    """Share of them that the model fills in right."""
    best_accuracy: float
    """Share that the likeliest token of the exact posterior fills in right, on the same tokens: a draw, too."""
    expected_accuracy: float
    """The chance that what the model fills in is right, by the posterior: what `accuracy` is on many more texts."""
    best_expected_accuracy: float
    """The largest chance of being right: no model has a higher `expected_accuracy`."""
    loss: float
    """The model's mean negative log-probability of a hidden token, in nats."""
    best_loss: float
    """The posterior's."""
    entropy: float
    """The posterior's mean entropy, in nats: what `best_loss` is on many more texts; no model's loss is lower."""
    divergence: float
    """Mean Kullback–Leibler divergence of the model's distribution from the posterior, in nats: 0 at best."""
    impossible: float
    """Probability that the model gives to tokens that cannot stand there, on average."""
    certain: tuple[int, float]
    """How many hidden tokens can only be one, and the share of these that the model fills in right."""


def tale_posteriors(hidden: HiddenTexts, tokenizer: Tokenizer, n_before: int) -> Iterator[dict[int, Posterior]]:
    """Yield for each tale the exact posterior of its hidden tokens, given all others, by their places.

    Args:
        hidden: whole tales.
        tokenizer: what made them.
        n_before: tokens that stand before each tale and belong to none.

    Raises:
        NoReadingError: (an InputError) a text that is no tale, or a tokenizer whose tokens go across words.
    """
    words = Words(cache(tokenizer.encode), cache(lambda token: tokenizer.decode([token])))
    for text, chosen in zip(hidden.texts, hidden.is_hidden, strict=True):
        row = [None if is_hidden else int(token) for token, is_hidden in zip(text, chosen, strict=True)]
        found = posteriors(STORY, row[n_before:], words)
        yield {place + n_before: posterior for place, posterior in found.items()}


def hidden_entropy(hidden: HiddenTexts, tokenizer: Tokenizer, n_before: int) -> float | None:
    """Return the mean entropy of hidden tokens, in nats: the lowest loss that any model can expect. None: no tales."""
    total = 0.0
    try:
        for found in tale_posteriors(hidden, tokenizer, n_before):
            total += sum(map(_entropy, found.values()))
    except NoReadingError:
        return None
    return total / hidden.n_hidden


def compare_with_posterior(
    model: Encoder, hidden: HiddenTexts, tokenizer: Tokenizer, n_before: int
) -> AgainstPosterior:
    """Hold an encoder's predictions of hidden tokens of tales against the exact posterior.

    Args:
        model: what predicts.
        hidden: whole tales.
        tokenizer: what made them.
        n_before: tokens that stand before each tale and belong to none.

    Raises:
        NoReadingError: (an InputError) a text that is no tale.
        InputError: one that is longer than the model can read.
    """
    exact = list(tale_posteriors(hidden, tokenizer, n_before))
    sums = torch.zeros(len(_SUMMED), dtype=torch.float64)
    n_certain, n_certain_right = 0, 0
    for which, logits, targets in predict_hidden(model, hidden):
        found = [posterior for i in which for posterior in exact[i].values()]
        logs = logits.cpu().double().log_softmax(-1)  # [n, V]
        for of_model, posterior, target in zip(logs, found, targets.tolist(), strict=True):
            figures = _figures(of_model, posterior, target)
            sums += torch.tensor([figures[name] for name in _SUMMED], dtype=torch.float64)
            n_certain += len(posterior) == 1
            n_certain_right += len(posterior) == 1 and bool(figures["accuracy"])
    n = hidden.n_hidden
    means = dict(zip(_SUMMED, (sums / n).tolist(), strict=True))
    return AgainstPosterior(n_hidden=n, certain=(n_certain, n_certain_right / max(1, n_certain)), **means)


_SUMMED = (
    "accuracy", "best_accuracy", "expected_accuracy", "best_expected_accuracy", "loss", "best_loss", "entropy",
    "divergence", "impossible",
)  # fmt: skip


def _figures(of_model: Tensor, posterior: Posterior, target: int) -> dict[str, float]:
    """Return the figures of one hidden token; `of_model` are log-probabilities [V]."""
    said, best = int(of_model.argmax()), max(posterior, key=posterior.__getitem__)
    entropy = _entropy(posterior)
    tokens = list(posterior)
    crossed = sum(-p * log for p, log in zip(posterior.values(), of_model[tokens].tolist(), strict=True))
    return {
        "accuracy": said == target,
        "best_accuracy": best == target,
        "expected_accuracy": posterior.get(said, 0.0),
        "best_expected_accuracy": posterior[best],
        "loss": -float(of_model[target]),
        "best_loss": -math.log(posterior[target]),
        "entropy": entropy,
        "divergence": crossed - entropy,
        "impossible": 1 - float(of_model[tokens].exp().sum()),
    }


def _entropy(posterior: Posterior) -> float:
    return -sum(p * math.log(p) for p in posterior.values() if p > 0)
