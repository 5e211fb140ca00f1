"""Self-BLEU: how alike drawn texts are, each scored against all the others (Zhu et al. 2018, Texygen)."""

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

from groundup.evaluation.bleu import Bleu
from groundup.evaluation.bleu_tokenizers import tokenizer_named
from groundup.evaluation.n_grams import n_grams


def self_bleu(texts: Sequence[str], *, bleu: Bleu | None = None) -> float | None:
    """Return the mean BLEU of each text with all the others as its references, in percent; high says all are alike.

    It grows with the number of texts, for more references match more: compare equally many of about the same length.
    One pass over all n-grams takes the place of N² comparisons: of each it is enough to know the text that has it most
    often, and how often the next one has it.

    Args:
        texts: N texts.
        bleu: settings. None: orders up to 4, the floor of Texygen (0.1), and orders longer than a text left out.

    Returns:
        From 0 to 100. None: fewer than two texts.

    Example:
        >>> round(self_bleu(["a cat sat down", "a cat sat down", "a dog ran"])), self_bleu(["one", "two", "three"])
        (69, 0.0)
    """
    if len(texts) < 2:
        return None
    chosen = bleu or Bleu(smoothing="floor", effective_order=True)
    cut = tokenizer_named(chosen.tokenizer)
    tokens = [cut(text.lower() if chosen.lowercase else text) for text in texts]
    lengths = Counter(map(len, tokens))
    n_orders = range(1, chosen.max_order + 1)
    matches = np.array([_matches(tokens, n) for n in n_orders])  # [orders, N]
    scores = []
    for own, found in zip(tokens, matches.T, strict=True):
        length = len(own)
        lengths[length] -= 1
        nearest = min((abs(other - length), other) for other, n in lengths.items() if n)[1]
        lengths[length] += 1
        sums = np.array([length, nearest, *found, *(max(length - n + 1, 0) for n in n_orders)], dtype=np.float64)
        scores.append(chosen.score(sums))
    return sum(scores) / len(scores)


def _matches(tokens: Sequence[Sequence[str]], n: int) -> list[int]:
    """Return how many n-grams of each text the others have, each as often as the one that has it most often."""
    counted = [Counter(n_grams(own, n)) for own in tokens]
    most: defaultdict[tuple[str, ...], tuple[int, int, int]] = defaultdict(lambda: (0, -1, 0))
    for i, own in enumerate(counted):
        for gram, count in own.items():
            highest, holder, second = most[gram]
            most[gram] = (count, i, highest) if count > highest else (highest, holder, max(second, count))
    matches = []
    for i, own in enumerate(counted):
        found = 0
        for gram, count in own.items():
            highest, holder, second = most[gram]
            found += min(count, second if holder == i else highest)
        matches.append(found)
    return matches
