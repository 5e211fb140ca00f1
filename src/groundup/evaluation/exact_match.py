"""Exact match: the share of texts that are, letter for letter, one of their references."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from groundup.evaluation.text_metric import OUR_VERSION, Counts, with_references


@dataclass(frozen=True, kw_only=True)
class ExactMatch:
    """Exact match, in percent; space at the ends of a text does not count.

    Example:
        >>> metric = ExactMatch()
        >>> metric.score(metric.counts(["2026-11-22 ", "1999"], [["2026-11-22", "1998"]]).sum(0))
        50.0
    """

    lowercase: bool = False
    """Whether case does not count."""
    name: ClassVar[str] = "exact match"
    lower_is_better: ClassVar[bool] = False

    def counts(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Counts:
        """Return of each text [N, 2]: whether it is a reference, and 1.

        Raises:
            InputError: counts that differ, or no text.
        """
        return np.array(
            [(self._plain(text) in map(self._plain, own), 1) for text, own in with_references(hypotheses, references)],
            dtype=np.float64,
        )

    def score(self, sums: Counts) -> float:
        """Return the share of texts that match, in percent, of the sums [2] of `counts`."""
        return float(100 * sums[0] / sums[1])

    def signature(self, n_references: int) -> str:
        """Return the settings as one line."""
        return f"nrefs:{n_references}|case:{'lc' if self.lowercase else 'mixed'}|version:{OUR_VERSION}"

    def _plain(self, text: str) -> str:
        return text.strip().lower() if self.lowercase else text.strip()
