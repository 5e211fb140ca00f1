"""Parts of labelled texts for training, validation and test: each label's share kept, copies of a text together.

What is drawn, and what falls into which part, is decided by the order of SHA-256 of seed and text: a pure function of
the texts and the seed, whatever the order of rows and the release of any library.
"""

import hashlib
from collections import defaultdict
from collections.abc import Sequence

import numpy as np


def split(
    texts: Sequence[str], labels: Sequence[int], *, validation: float, test: float, seed: int
) -> tuple[list[int], list[int], list[int]]:
    """Return which texts are for training, validation and test: indices, rising in each.

    Each part gets its share of each label, to the nearest whole text and the nearest set of copies; a label always has
    a text in training. A text with two labels (its copies contradict each other) stays in training: nobody could say
    whether a model is right about it.

    Args:
        texts: equal ones are copies, which go together.
        labels: the label of each text, from 0.
        validation: part of the texts for validation.
        test: part of the texts for the test.
        seed: decides which.

    Example:
        >>> texts = ["a", "b", "b", "c", "d", "e", "f", "g", "h", "i"]
        >>> parts = split(texts, [0, 0, 0, 0, 0, 0, 0, 0, 1, 1], validation=0.2, test=0.2, seed=0)
        >>> [len(part) for part in parts], [("b" in {texts[i] for i in part}) for part in parts].count(True)
        ([6, 2, 2], 1)
    """
    copies: dict[str, list[int]] = defaultdict(list)
    for i, text in enumerate(texts):
        copies[text].append(i)
    training: list[int] = []
    groups: list[list[list[int]]] = [[] for _ in range(max(labels) + 1)]
    for text in sorted(copies, key=lambda text: _rank(seed, text)):
        found = {labels[i] for i in copies[text]}
        if len(found) > 1:
            training += copies[text]
        else:
            groups[found.pop()].append(copies[text])
    counts = [sum(map(len, of_label)) for of_label in groups]
    n_validation, n_test = (apportion(counts, round(part * sum(counts))) for part in (validation, test))
    parts: tuple[list[int], list[int], list[int]] = (training, [], [])
    for of_label, count, wanted, wanted_test in zip(groups, counts, n_validation, n_test, strict=True):
        seen = 0
        for group in of_label:
            # A set of copies that lies across a border belongs where its middle is; the first is always learned from.
            middle = seen + len(group) / 2
            part = 2 if middle > count - wanted_test else 1 if middle > count - wanted_test - wanted else 0
            parts[part if seen else 0].extend(group)
            seen += len(group)
    return sorted(parts[0]), sorted(parts[1]), sorted(parts[2])


def draw(texts: Sequence[str], labels: Sequence[int], take: Sequence[int], *, seed: int) -> list[int]:
    """Return rising indices of `take[c]` texts of each label c, or all where there are fewer.

    Example:
        >>> len(draw(["a", "b", "c", "d"], [0, 0, 0, 1], [2, 1], seed=0))
        3
    """
    drawn = []
    left = list(take)
    for i in sorted(range(len(texts)), key=lambda i: (_rank(seed, texts[i]), i)):
        if left[labels[i]]:
            left[labels[i]] -= 1
            drawn.append(i)
    return sorted(drawn)


def apportion(counts: Sequence[int], total: int, *, least: int = 0) -> list[int]:
    """Return whole numbers that add up to `total`, as near to the proportions of `counts` as such numbers can be.

    Without `least` each is within 1 of its exact share and none is above its count (largest remainders).

    Args:
        counts: how many there are of each.
        total: how many to take, at most all.
        least: take at least so many of each; `counts` and `total` must allow it.

    Example:
        >>> apportion([70, 20, 10], 9), apportion([97, 2, 1], 10, least=1)
        ([6, 2, 1], [8, 1, 1])
    """
    available = np.asarray(counts, dtype=np.int64)
    n = max(1, int(available.sum()))
    taken = np.maximum(available * total // n, least)
    while missing := total - int(taken.sum()):
        step = 1 if missing > 0 else -1
        gap = step * (available * total - taken * n)  # times n, so that all is exact
        allowed = (taken + step <= available) & (taken + step >= least)
        taken[np.where(allowed, gap, np.iinfo(np.int64).min).argmax()] += step
    return [int(number) for number in taken]


def _rank(seed: int, text: str) -> bytes:
    return hashlib.sha256(f"{seed}\n{text}".encode()).digest()
