"""chrF: how many n-grams of characters a text shares with its reference, chrF++ of words, too (Popović 2015, 2017).

chrFβ = (1 + β²) · P · R / (β² · P + R), β = 2: recall R weighs four times as much as precision P, each the mean over
the lengths of n-grams. It needs no tokenizer, and forgives an ending: good for languages with many forms of a word.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from groundup.configs.checks import at_least
from groundup.errors import InputError
from groundup.evaluation.n_grams import clipped_matches
from groundup.evaluation.text_metric import OUR_VERSION, Counts, with_references

_PUNCTUATION = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
_NOTHING = 1e-16
"""What an order without n-grams counts, where every order is to count."""


@dataclass(frozen=True, kw_only=True)
class Chrf:
    """ChrF with its settings; `word_order=2` makes it chrF++. Equal to sacrebleu with the same settings.

    Example:
        >>> from groundup.evaluation.text_metric import text_score
        >>> round(text_score(Chrf(), "ein Hund läuft", ["ein Hund rennt"]), 2)
        46.95
    """

    character_order: int = 6
    """Longest n-gram of characters."""
    word_order: int = 0
    """Longest n-gram of words: 0 for chrF, 2 for chrF++."""
    beta: int = 2
    """How many times as important recall is as precision."""
    lowercase: bool = False
    """Whether case does not count."""
    whitespace: bool = False
    """Whether spaces are characters."""
    every_order: bool = False
    """Whether orders that are longer than the text count, almost 0 (chrF++.py, NLTK), instead of being left out."""
    lower_is_better: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Refuse impossible settings with an InputError."""
        at_least(self, "character_order", 0)
        at_least(self, "word_order", 0)
        at_least(self, "beta", 0)
        if not self.character_order + self.word_order:
            raise InputError("expected n-grams of characters or of words, found orders of 0: take character_order=6")

    @property
    def name(self) -> str:
        """ChrF2, chrF2++ and so on."""
        return f"chrF{self.beta}{'+' * self.word_order}"

    def counts(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Counts:
        """Return of each text [N, 3 · orders]: n-grams, those of the reference, matches; of one order after another.

        Of several references, those of the one that the text scores best against.

        Raises:
            InputError: counts that differ, or no text.
        """
        rows = [
            max((self._against(text, reference) for reference in own), key=self._f_score)
            for text, own in with_references(hypotheses, references)
        ]
        return np.array(rows, dtype=np.float64)

    def score(self, sums: Counts) -> float:
        """Return chrF in percent of the sums of `counts`."""
        return self._f_score(sums.tolist())

    def signature(self, n_references: int) -> str:
        """Return the settings in sacrebleu's form; "version" is ours.

        Example:
            >>> Chrf(word_order=2).signature(1).rpartition("|")[0]
            'nrefs:1|case:mixed|eff:yes|nc:6|nw:2|space:no'
        """
        case, effective = "lc" if self.lowercase else "mixed", "no" if self.every_order else "yes"
        return (
            f"nrefs:{n_references}|case:{case}|eff:{effective}|nc:{self.character_order}|nw:{self.word_order}"
            f"|space:{'yes' if self.whitespace else 'no'}|version:{OUR_VERSION}"
        )

    def _against(self, text: str, reference: str) -> list[int]:
        if self.lowercase:
            text, reference = text.lower(), reference.lower()
        ours, theirs = (one if self.whitespace else "".join(one.split()) for one in (text, reference))
        found = _counted(ours, theirs, self.character_order)
        if self.word_order:
            found += _counted(_words(text), _words(reference), self.word_order)
        return found

    def _f_score(self, counts: Sequence[float]) -> float:
        squared = self.beta**2
        precisions, recalls, f_scores = [], [], 0.0
        for i in range(0, len(counts), 3):
            n_ours, n_theirs, matched = counts[i : i + 3]
            precision, recall = (matched / n if n else _NOTHING for n in (n_ours, n_theirs))
            below = squared * precision + recall
            f_scores += (1 + squared) * precision * recall / below if below > 0 else _NOTHING
            if n_ours and n_theirs:
                precisions.append(precision)
                recalls.append(recall)
        if self.every_order:
            return 100 * f_scores / (len(counts) // 3)
        if not any(precisions) and not any(recalls):
            return 0.0
        precision, recall = sum(precisions) / len(precisions), sum(recalls) / len(recalls)
        return 100 * ((1 + squared) * precision * recall / (squared * precision + recall))


def _counted(ours: Sequence[str], theirs: Sequence[str], max_order: int) -> list[int]:
    found: list[int] = []
    for n in range(1, max_order + 1):
        n_ours, n_theirs = (max(len(one) - n + 1, 0) for one in (ours, theirs))
        # Without a match of n - 1 there is none of n. An order that the reference lacks counts for neither.
        matched = clipped_matches(ours, [theirs], n) if n == 1 or found[-1] else 0
        found += [n_ours if n_theirs else 0, n_theirs, matched]
    return found


def _words(text: str) -> list[str]:
    """Return the words of a text with one mark set apart: the one at the end or, if there is none, at the beginning."""
    words: list[str] = []
    for word in text.split():
        if len(word) > 1 and word[-1] in _PUNCTUATION:
            words += [word[:-1], word[-1]]
        elif len(word) > 1 and word[0] in _PUNCTUATION:
            words += [word[0], word[1:]]
        else:
            words.append(word)
    return words
