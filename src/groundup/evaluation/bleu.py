"""BLEU: which share of a text's n-grams stands in a reference, with a penalty for brevity (Papineni et al. 2002).

BLEU = BP · exp(1/4 · Σₙ ln pₙ), n = 1…4. pₙ: matched n-grams of all texts over all n-grams, each matched at most as
often as the reference has it. BP = min(1, exp(1 - r/h)) for h tokens and r in the references nearest in length.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import numpy as np

from groundup.configs.checks import at_least
from groundup.errors import InputError
from groundup.evaluation.bleu_tokenizers import tokenizer_named
from groundup.evaluation.n_grams import clipped_matches
from groundup.evaluation.text_metric import OUR_VERSION, Counts, with_references

Smoothing = Literal["none", "floor", "add-k", "exp"]
_DEFAULT_VALUES = {"floor": 0.1, "add-k": 1.0}


@dataclass(frozen=True)
class BleuScore:
    """BLEU with what it was computed from."""

    score: float
    """BLEU, in percent."""
    precisions: tuple[float, ...]
    """pₙ, smoothed, in percent."""
    brevity_penalty: float
    """BP: 1 if the texts are at least as long as their references."""
    length: int
    """Tokens of the texts."""
    reference_length: int
    """Tokens of the references, of several the nearest in length."""

    def __str__(self) -> str:
        """Return the line that the field prints."""
        precisions = "/".join(f"{precision:.1f}" for precision in self.precisions)
        ratio = self.length / self.reference_length if self.reference_length else 0.0
        return (
            f"BLEU = {self.score:.2f} {precisions} (BP = {self.brevity_penalty:.3f} ratio = {ratio:.3f} "
            f"hyp_len = {self.length} ref_len = {self.reference_length})"
        )


@dataclass(frozen=True, kw_only=True)
class Bleu:
    """BLEU with its settings; the defaults are the ones that papers report: cased, 13a.

    Equal to sacrebleu with the same settings. References of differing number are not supported.

    Example:
        >>> print(Bleu().corpus(["the cat sat on the mat"], [["the cat sat on a mat"]]))
        BLEU = 53.73 83.3/60.0/50.0/33.3 (BP = 1.000 ratio = 1.000 hyp_len = 6 ref_len = 6)
    """

    tokenizer: str = "13a"
    """What a token is: 13a, intl, zh, char, none (already tokenized); see bleu_tokenizers."""
    lowercase: bool = False
    """Whether case does not count."""
    smoothing: Smoothing = "exp"
    """What an order without a match counts (Chen and Cherry 2014): "none" nothing, so BLEU is 0; "floor" so many
    matches; "add-k" adds k to matches and n-grams of all orders but the first; "exp" 1/2 of a match, the next order
    1/4, …"""
    smoothing_value: float | None = None
    """The floor, or k. None: 0.1, or 1."""
    max_order: int = 4
    """Longest n-gram."""
    effective_order: bool = False
    """Leave out orders that are longer than the text: for single sentences."""
    name: ClassVar[str] = "BLEU"
    lower_is_better: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Refuse impossible settings with an InputError."""
        tokenizer_named(self.tokenizer)
        if self.smoothing not in get_args(Smoothing):
            raise InputError(f"unknown smoothing {self.smoothing!r}: known are {', '.join(get_args(Smoothing))}")
        at_least(self, "max_order", 1)
        if self.smoothing_value is not None and not 0 <= self.smoothing_value < math.inf:
            raise InputError(f"expected a smoothing value of at least 0, found {self.smoothing_value}: take 0.1 or 1")

    def corpus(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> BleuScore:
        """Return BLEU of all texts together: n-grams are counted over all, not averaged over texts.

        Args:
            hypotheses: N texts.
            references: one or more sequences of N texts each.

        Raises:
            InputError: counts that differ, or no text.
        """
        return self.details(self.counts(hypotheses, references).sum(0))

    def sentence(self, hypothesis: str, references: Sequence[str]) -> BleuScore:
        """Return BLEU of one text; set `effective_order`, or texts of fewer than `max_order` tokens get 0.

        Example:
            >>> round(Bleu(effective_order=True).sentence("the cat sat", ["the cat sat down"]).score, 2)
            71.65
        """
        return self.corpus([hypothesis], [[reference] for reference in references])

    def counts(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Counts:
        """Return of each text [N, 2 + 2 · max_order]: tokens, reference tokens, matches and n-grams of each order.

        Raises:
            InputError: counts that differ, or no text.

        Example:
            >>> Bleu(max_order=2).counts(["the the cat"], [["the cat"]]).tolist()  # "the" matches once
            [[3.0, 2.0, 2.0, 1.0, 3.0, 2.0]]
        """
        cut = tokenizer_named(self.tokenizer)
        return np.array(
            [
                self._counts_of(cut(text), [cut(reference) for reference in own])
                for text, own in self._cased(with_references(hypotheses, references))
            ],
            dtype=np.float64,
        )

    def score(self, sums: Counts) -> float:
        """Return BLEU in percent of the sums of `counts`."""
        return self.details(sums).score

    def details(self, sums: Counts) -> BleuScore:
        """Return BLEU with its parts, of the sums [2 + 2 · max_order] of `counts`."""
        length, reference_length, *rest = sums.tolist()
        penalty = 1.0
        if length < reference_length:
            penalty = math.exp(1 - reference_length / length) if length else 0.0
        precisions, n_orders = self._precisions(rest[: self.max_order], rest[self.max_order :])
        used = precisions[:n_orders]
        mean = math.exp(sum(math.log(precision) for precision in used) / n_orders) if all(used) else 0.0
        return BleuScore(penalty * mean, tuple(precisions), penalty, int(length), int(reference_length))

    def signature(self, n_references: int) -> str:
        """Return the settings in sacrebleu's form; "version" is ours.

        Example:
            >>> Bleu().signature(1).rpartition("|")[0]
            'nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp'
        """
        value = f"[{self._value():.2f}]" if self.smoothing in _DEFAULT_VALUES else ""
        case, effective = "lc" if self.lowercase else "mixed", "yes" if self.effective_order else "no"
        return (
            f"nrefs:{n_references}|case:{case}|eff:{effective}|tok:{self.tokenizer}|smooth:{self.smoothing}{value}"
            f"|version:{OUR_VERSION}"
        )

    def _value(self) -> float:
        return _DEFAULT_VALUES.get(self.smoothing, 0.0) if self.smoothing_value is None else self.smoothing_value

    def _cased(self, pairs: Iterable[tuple[str, tuple[str, ...]]]) -> Iterable[tuple[str, tuple[str, ...]]]:
        if not self.lowercase:
            return pairs
        return ((text.lower(), tuple(reference.lower() for reference in own)) for text, own in pairs)

    def _counts_of(self, tokens: Sequence[str], references: Sequence[Sequence[str]]) -> list[int]:
        length = len(tokens)
        matches: list[int] = []
        for n in range(1, self.max_order + 1):
            # What contains an n-gram contains its first n - 1 tokens: after an order without a match there is none.
            matches.append(clipped_matches(tokens, references, n) if n == 1 or matches[-1] else 0)
        nearest = min((abs(len(reference) - length), len(reference)) for reference in references)[1]
        return [length, nearest, *matches, *(max(length - n, 0) for n in range(self.max_order))]

    def _precisions(self, matches: list[float], totals: list[float]) -> tuple[list[float], int]:
        """Return pₙ in percent (0 where there is no n-gram, and everywhere if nothing matches), and how many count."""
        precisions = [0.0] * self.max_order
        if not any(matches):
            return precisions, self.max_order
        n_found, share = 0, 1.0
        for i, (matched, total) in enumerate(zip(matches, totals, strict=True)):
            added = self._value() if self.smoothing == "add-k" and i else 0.0
            if not total + added:
                break
            n_found = i + 1
            if matched + added:
                precisions[i] = 100.0 * (matched + added) / (total + added)
            elif self.smoothing == "exp":
                share *= 2
                precisions[i] = 100.0 / (share * total)
            elif self.smoothing == "floor":
                precisions[i] = 100.0 * self._value() / total
        return precisions, n_found if self.effective_order else self.max_order
