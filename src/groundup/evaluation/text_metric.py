"""What every metric of generated text is: numbers counted for each text, and a score of their sums.

So a corpus score, its interval and a comparison of two systems are one computation: the counting is done once, and a
resample only adds up other rows.

Shapes: N texts, K numbers counted for each, R references of each text.
"""

from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Protocol

import numpy as np
import numpy.typing as npt

from groundup.errors import InputError

Counts = npt.NDArray[np.float64]
"""Counted for each text [N, K], or their sums [K]. Whole numbers are exact up to 2**53."""

try:
    OUR_VERSION = f"groundup-{version('groundup')}"
except PackageNotFoundError:  # read from its sources, never installed
    OUR_VERSION = "groundup"
"""What signatures end in."""


class TextMetric(Protocol):
    """A metric with its settings."""

    @property
    def name(self) -> str:
        """As the field writes it: BLEU, chrF2, ROUGE-L."""
        ...

    @property
    def lower_is_better(self) -> bool:
        """Whether it counts errors."""
        ...

    def counts(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Counts:
        """Return what is counted for each text [N, K].

        Args:
            hypotheses: N texts of a system.
            references: R sequences of N texts each; a hypothesis may be like any of its R.

        Raises:
            InputError: no text or no reference, or not as many references as hypotheses.
        """
        ...

    def score(self, sums: Counts) -> float:
        """Return the score of the sums [K] of the counts of some texts: in percent."""
        ...

    def signature(self, n_references: int) -> str:
        """Return the settings as one line, without which a score cannot be compared."""
        ...


def corpus_score(metric: TextMetric, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """Return the score of all texts together, in percent.

    Raises:
        InputError: counts that differ; see `TextMetric.counts`.

    Example:
        >>> from groundup.evaluation.exact_match import ExactMatch
        >>> corpus_score(ExactMatch(), ["yes", "no"], [["yes", "yes"]])
        50.0
    """
    return metric.score(metric.counts(hypotheses, references).sum(0))


def text_score(metric: TextMetric, hypothesis: str, references: Sequence[str]) -> float:
    """Return the score of one text, in percent.

    Example:
        >>> from groundup.evaluation.exact_match import ExactMatch
        >>> text_score(ExactMatch(), "yes", ["no", "yes"])
        100.0
    """
    return corpus_score(metric, [hypothesis], [[reference] for reference in references])


def with_references(
    hypotheses: Sequence[str], references: Sequence[Sequence[str]]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Return an iterator over each hypothesis and its references.

    Raises:
        InputError: no text or no reference, or not as many references as hypotheses.

    Example:
        >>> list(with_references(["a", "b"], [["A", "B"], ["á", "ß"]]))
        [('a', ('A', 'á')), ('b', ('B', 'ß'))]
    """
    if isinstance(hypotheses, str) or any(isinstance(texts, str) for texts in references):
        raise TypeError("expected sequences of texts, found a text: put it into a list")
    if not hypotheses or not references:
        raise InputError(f"expected texts and references, found {len(hypotheses)} and {len(references)} of them")
    for texts in references:
        if len(texts) != len(hypotheses):
            raise InputError(
                f"expected one reference for each of {len(hypotheses):,} hypotheses, found {len(texts):,}: line n of "
                "both must belong together"
            )
    return zip(hypotheses, zip(*references, strict=True), strict=True)
