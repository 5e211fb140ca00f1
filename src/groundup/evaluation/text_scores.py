"""A system's texts in a file, scored on files of references by several metrics, alone or beside another system's."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from groundup.data.pairs import read_lines
from groundup.errors import InputError
from groundup.evaluation.bleu import Bleu
from groundup.evaluation.chrf import Chrf
from groundup.evaluation.edit_distance import ErrorRate
from groundup.evaluation.exact_match import ExactMatch
from groundup.evaluation.rouge import Rouge
from groundup.evaluation.significance import SEED, Comparison, compare_systems, score_interval
from groundup.evaluation.text_metric import TextMetric

METRICS: dict[str, Callable[[str, bool], TextMetric]] = {
    "bleu": lambda tokenizer, lowercase: Bleu(tokenizer=tokenizer, lowercase=lowercase),
    "chrf": lambda _, lowercase: Chrf(lowercase=lowercase),
    "chrf++": lambda _, lowercase: Chrf(word_order=2, lowercase=lowercase),
    "rouge1": lambda *_: Rouge(kind="1"),
    "rouge2": lambda *_: Rouge(kind="2"),
    "rougeL": lambda *_: Rouge(kind="L"),
    "rougeLsum": lambda *_: Rouge(kind="Lsum"),
    "exact": lambda _, lowercase: ExactMatch(lowercase=lowercase),
    "wer": lambda _, lowercase: ErrorRate(unit="words", lowercase=lowercase),
    "cer": lambda _, lowercase: ErrorRate(unit="characters", lowercase=lowercase),
}
"""Metrics by the name that a command knows them by: given BLEU's tokenizer, and whether case does not count."""


@dataclass(frozen=True)
class TextScore:
    """One metric of a system's texts."""

    metric: TextMetric
    """What measured."""
    score: float
    """In percent."""
    interval: tuple[float, float]
    """95 % of the scores of texts drawn with replacement."""
    signature: str
    """The metric's settings."""
    comparison: Comparison | None = None
    """Beside another system, if there is one."""


def chosen_metrics(names: Sequence[str], *, tokenizer: str = "13a", lowercase: bool = False) -> list[TextMetric]:
    """Return the metrics of these names, each once.

    Raises:
        InputError: an unknown name or tokenizer.

    Example:
        >>> [metric.name for metric in chosen_metrics(["bleu", "rougeL", "bleu"])]
        ['BLEU', 'ROUGE-L']
    """
    if unknown := [name for name in names if name not in METRICS]:
        raise InputError(f"unknown metric {unknown[0]!r}: known are {', '.join(METRICS)}")
    return [METRICS[name](tokenizer, lowercase) for name in dict.fromkeys(names)]


def read_texts(path: Path) -> list[str]:
    r"""Return the texts of a file (or of one packed, .gz), one a line; a line is empty where a system wrote nothing.

    Raises:
        InputError: a file that cannot be read, is no UTF-8, or is empty.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "system.de"
        >>> _ = path.write_bytes("Ein Hund.\r\n\nZwei\u2028Hunde.".encode())
        >>> read_texts(path)
        ['Ein Hund.', '', 'Zwei\u2028Hunde.']
    """
    lines = read_lines(path)
    if not any(lines):
        raise InputError(f"expected a text on each line of {path}, found an empty file: give another")
    return lines


def score_files(
    metrics: Sequence[TextMetric],
    hypotheses: Path,
    references: Sequence[Path],
    *,
    baseline: Path | None = None,
    resamples: int = 1_000,
    seed: int = SEED,
) -> tuple[int, list[TextScore]]:
    """Return how many texts there are, and what each metric says of them.

    Args:
        metrics: what measures.
        hypotheses: the system's texts.
        references: one file or more, line n for line n.
        baseline: another system's texts for the same lines. None: no comparison.
        resamples: how many times texts are drawn with replacement.
        seed: decides what is drawn.

    Raises:
        InputError: no metric or reference, a file that cannot be read, or files of differing lengths.
    """
    if not metrics or not references:
        raise InputError("expected metrics and files of references, found none: name at least one of each")
    ours, others = read_texts(hypotheses), None if baseline is None else read_texts(baseline)
    theirs = [read_texts(path) for path in references]
    compared = [] if baseline is None or others is None else [(baseline, others)]
    for path, texts in (*zip(references, theirs, strict=True), *compared):
        if len(texts) != len(ours):
            raise InputError(
                f"expected {len(ours):,} lines in {path}, as in {hypotheses}, found {len(texts):,}: line n of both "
                "must belong together"
            )
    scores = []
    for metric in metrics:
        counts = metric.counts(ours, theirs)
        comparison = None
        if others is not None:
            comparison = compare_systems(metric, counts, metric.counts(others, theirs), seed=seed, resamples=resamples)
        scores.append(
            TextScore(
                metric,
                metric.score(counts.sum(0)),
                score_interval(metric, counts, seed=seed, resamples=resamples),
                metric.signature(len(theirs)),
                comparison,
            )
        )
    return len(ours), scores


def scores_text(scores: Sequence[TextScore]) -> str:
    """Return the scores as a table, then the settings of each metric."""
    rows = [_compared(one, one.comparison) if one.comparison else _alone(one) for one in scores]
    beside = f"{'baseline':>10}{'difference':>12}" if scores[0].comparison else ""
    tested = f"{'better in':>11}{'p':>8}" if scores[0].comparison else ""
    head = f"{'metric':<12}{'score':>8}{beside}   {'95 % interval':>17}{tested}"
    settings = [f"{one.metric.name}: {one.signature}" for one in scores]
    return "\n".join([head, *rows, "", *settings])


def _alone(one: TextScore) -> str:
    low, high = one.interval
    return f"{_name(one):<12}{one.score:>8.2f}   {low:>7.2f} – {high:>7.2f}"


def _compared(one: TextScore, found: Comparison) -> str:
    low, high = found.interval
    return (
        f"{_name(one):<12}{found.score:>8.2f}{found.baseline:>10.2f}{found.score - found.baseline:>+12.2f}"
        f"   {low:>+7.2f} – {high:>+7.2f}{found.better_share:>10.1%} {found.p_value:>8.4f}"
    )


def _name(one: TextScore) -> str:
    return f"{one.metric.name}{' ↓' if one.metric.lower_is_better else ''}"
