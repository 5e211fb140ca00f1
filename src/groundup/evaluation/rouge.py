"""ROUGE: how much of a reference summary a text has, in n-grams or in common subsequences (Lin 2004).

Words are runs of a–z and 0–9 in lower case, as in Lin's script and in rouge-score: every other letter parts words, so
"Straße" is "stra" and "e". No stemmer.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from groundup.errors import InputError
from groundup.evaluation.common_subsequence import longest_common_length, longest_common_positions
from groundup.evaluation.n_grams import clipped_matches
from groundup.evaluation.text_metric import OUR_VERSION, Counts, with_references

KINDS = ("1", "2", "3", "4", "L", "Lsum")
"""What can be counted: n-grams, the longest common subsequence, those of each sentence of a summary."""
_WORD = re.compile(r"[a-z0-9]+")


class Overlap(NamedTuple):
    """What two texts share, from 0 to 1."""

    precision: float
    """Share of the text's units."""
    recall: float
    """Share of the reference's units."""
    f1: float
    """Their harmonic mean."""


def rouge_n(text: str, reference: str, n: int) -> Overlap:
    """Return ROUGE-n: shared n-grams of words, each as often as both have it.

    Example:
        >>> rouge_n("the cat sat", "the cat sat down", 2)
        Overlap(precision=1.0, recall=0.6666666666666666, f1=0.8)
    """
    ours, theirs = _words(text), _words(reference)
    return _overlap(clipped_matches(ours, [theirs], n), max(len(ours) - n + 1, 0), max(len(theirs) - n + 1, 0))


def rouge_l(text: str, reference: str) -> Overlap:
    """Return ROUGE-L: the longest common subsequence of words, which may stand apart but in the same order.

    Example:
        >>> rouge_l("police ended the gunman", "police killed the gunman").f1  # Lin's example
        0.75
    """
    ours, theirs = _words(text), _words(reference)
    return _overlap(longest_common_length(theirs, ours), len(ours), len(theirs))


def rouge_lsum(text: str, reference: str) -> Overlap:
    r"""Return ROUGE-Lsum: for each sentence of a reference, the words that its subsequences with any sentence have.

    Sentences stand on lines of their own. No word counts more often than both texts have it, as in Lin's script; his
    paper (section 3.2) does not say so.

    Example:
        >>> rouge_lsum("a b f g h\na c h i e", "a b c d e").recall  # Lin's example: a b, and a c e, are a b c e
        0.8
    """
    ours, theirs = ([_words(line) for line in one.split("\n")] for one in (text, reference))
    left = Counter(word for words in ours for word in words) & Counter(word for words in theirs for word in words)
    shared = 0
    for sentence in theirs:
        for i in sorted({i for other in ours for i in longest_common_positions(sentence, other)}):
            if left[sentence[i]] > 0:
                left[sentence[i]] -= 1
                shared += 1
    return _overlap(shared, sum(map(len, ours)), sum(map(len, theirs)))


@dataclass(frozen=True, kw_only=True)
class Rouge:
    """Mean F1 of a kind of ROUGE, in percent. Equal to rouge-score without its stemmer, times 100.

    Example:
        >>> from groundup.evaluation.text_metric import corpus_score
        >>> corpus_score(Rouge(kind="1"), ["the cat", "no"], [["The cat!", "yes"]])
        50.0
    """

    kind: str = "L"
    """One of KINDS."""
    lower_is_better: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Refuse an unknown kind with an InputError."""
        if self.kind not in KINDS:
            raise InputError(f"unknown kind of ROUGE {self.kind!r}: known are {', '.join(KINDS)}")

    @property
    def name(self) -> str:
        """ROUGE-1, ROUGE-L and so on."""
        return f"ROUGE-{self.kind}"

    def counts(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Counts:
        """Return of each text [N, 2]: F1 with the reference that gives most, and 1.

        Raises:
            InputError: counts that differ, or no text.
        """
        rows = [
            (max(self.overlap(text, reference).f1 for reference in own), 1.0)
            for text, own in with_references(hypotheses, references)
        ]
        return np.array(rows, dtype=np.float64)

    def score(self, sums: Counts) -> float:
        """Return the mean F1 in percent of the sums [2] of `counts`."""
        return float(100 * sums[0] / sums[1])

    def signature(self, n_references: int) -> str:
        """Return the settings as one line."""
        return f"nrefs:{n_references}|case:lc|tok:a-z0-9|stem:no|version:{OUR_VERSION}"

    def overlap(self, text: str, reference: str) -> Overlap:
        """Return what one text shares with one reference."""
        if self.kind == "L":
            return rouge_l(text, reference)
        return rouge_lsum(text, reference) if self.kind == "Lsum" else rouge_n(text, reference, int(self.kind))


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _overlap(shared: int, n_ours: int, n_theirs: int) -> Overlap:
    precision, recall = shared / max(n_ours, 1), shared / max(n_theirs, 1)
    return Overlap(precision, recall, 2 * precision * recall / (precision + recall) if shared else 0.0)
