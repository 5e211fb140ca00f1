"""A classifier's figures as tables for a terminal."""

from groundup.evaluation.classification_report import ClassificationReport

SPOKEN = {
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "auc": "AUC",
    "log_loss": "log loss (nats)",
    "calibration_error": "calibration error",
}
"""Figure -> what people call it."""
MAX_COLUMNS = 8
"""More labels than these do not fit side by side: then the most frequent confusions are listed."""
_WIDTH = 18


def classification_text(report: ClassificationReport, what: str = "texts") -> str:
    """Return the figures with their 95 % intervals, a row for each label, and what was taken for what.

    Args:
        report: what was measured.
        what: was labelled.

    Example:
        >>> import numpy as np
        >>> from groundup.evaluation.classification_report import measure_classification
        >>> certain = np.array([[0.9, 0.1], [0.1, 0.9], [0.7, 0.3], [0.1, 0.9]])
        >>> print(classification_text(measure_classification(np.array([0, 1, 1, 1]), certain, ["ham", "spam"])))
        4 texts              figure     95 % interval
        accuracy              0.750    0.250 to 1.000
        macro F1              0.733    0.200 to 1.000
        AUC                   1.000    1.000 to 1.000
        log loss (nats)       0.380    0.105 to 0.929
        calibration error     0.250
        <BLANKLINE>
        label                 texts   precision   recall       F1
        ham                       1       0.500    1.000    0.667
        spam                      3       1.000    0.667    0.800
        <BLANKLINE>
        is | taken for          ham     spam
        ham                       1        0
        spam                      1        2
    """
    return "\n\n".join((_figures(report, what), _labels(report, what), _confusion(report, what)))


def _figures(report: ClassificationReport, what: str) -> str:
    lines = [f"{f'{report.n:,} {what}':<{_WIDTH}}{'figure':>9}{'95 % interval':>18}"]
    for name, figure in report.metrics.items():
        line = f"{SPOKEN.get(name, name):<{_WIDTH}}{figure:>9.3f}"
        if name in report.intervals:
            low, high = report.intervals[name]
            line += f"{f'{low:.3f} to {high:.3f}':>18}"
        lines.append(line)
    return "\n".join(lines)


def _labels(report: ClassificationReport, what: str) -> str:
    lines = [f"{'label':<{_WIDTH}}{what:>9}{'precision':>12}{'recall':>9}{'F1':>9}"]
    lines += [
        f"{shortened(label.name):<{_WIDTH}}{label.n:>9,}{label.precision:>12.3f}{label.recall:>9.3f}{label.f1:>9.3f}"
        for label in report.labels
    ]
    return "\n".join(lines)


def _confusion(report: ClassificationReport, what: str) -> str:
    names = [shortened(label.name) for label in report.labels]
    if len(names) <= MAX_COLUMNS:
        widths = [
            max(9, len(name) + 2, len(f"{max(column):,}") + 2)
            for name, column in zip(names, zip(*report.confusion, strict=True), strict=True)
        ]
        rows = [
            f"{name:<{_WIDTH}}" + "".join(f"{n:>{width},}" for n, width in zip(row, widths, strict=True))
            for name, row in zip(names, report.confusion, strict=True)
        ]
        head = f"{'is | taken for':<{_WIDTH}}" + "".join(
            f"{name:>{width}}" for name, width in zip(names, widths, strict=True)
        )
        return "\n".join([head, *rows])
    wrong = [
        (n, is_label, taken_for)
        for is_label, row in enumerate(report.confusion)
        for taken_for, n in enumerate(row)
        if n and is_label != taken_for
    ]
    worst = sorted(wrong, key=lambda entry: (-entry[0], *entry[1:]))[:10]
    lines = [f"{'is':<{_WIDTH}}{'taken for':<{_WIDTH}}{what:>9}"]
    lines += [f"{names[i]:<{_WIDTH}}{names[j]:<{_WIDTH}}{n:>9,}" for n, i, j in worst]
    return "\n".join(lines)


def shortened(name: str) -> str:
    """Return a label's name on one line, cut to 16 characters.

    Example:
        >>> shortened("a label of many words")
        'a label of many…'
    """
    flat = " ".join(name.split())
    return flat if len(flat) <= 16 else flat[:15] + "…"
