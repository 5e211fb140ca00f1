"""predictions.tsv: what a classifier said of each text, its mistakes first."""

from collections.abc import Sequence
from pathlib import Path

from groundup.evaluation.classification import Floats, Labels, check

COLUMNS = ("label", "predicted", "probability", "text")
"""The header; probability is that of the predicted label."""
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def write_predictions(
    path: Path, labels: Labels, probabilities: Floats, *, names: Sequence[str], texts: Sequence[str]
) -> None:
    r"""Write a line for each text; mistakes first, the surest on top, then what is right, the least sure on top.

    A tab, line break or backslash inside a text is written as \t, \n, \r or \\. The file is whole or not there.

    Args:
        path: the file to write.
        labels: what is right [N].
        probabilities: of each label [N, C].
        names: of the C labels.
        texts: the N texts.

    Raises:
        ValueError: what does not fit together.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> path = Path(tempfile.mkdtemp()) / "predictions.tsv"
        >>> probabilities = np.array([[0.875, 0.125], [0.75, 0.25]])
        >>> write_predictions(path, np.array([0, 1]), probabilities, names=["ham", "spam"], texts=["Soon", "You\nwon"])
        >>> path.read_text().splitlines()
        ['label\tpredicted\tprobability\ttext', 'spam\tham\t0.7500\tYou\\nwon', 'ham\tham\t0.8750\tSoon']
    """
    labels, probabilities = check(labels, probabilities)
    if len(texts) != len(labels) or len(names) != probabilities.shape[1]:
        raise ValueError(
            f"expected {len(labels)} texts and {probabilities.shape[1]} names, found {len(texts)} and {len(names)}"
        )
    predicted, sure = probabilities.argmax(1), probabilities.max(1)
    right = predicted == labels
    order = sorted(range(len(labels)), key=lambda i: (right[i], sure[i] if right[i] else -sure[i], i))
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("w", encoding="utf-8", newline="\n") as file:
        file.write("\t".join(COLUMNS) + "\n")
        for i in order:
            cells = (names[labels[i]], names[predicted[i]], f"{sure[i]:.4f}", texts[i])
            file.write("\t".join(cell.translate(_ESCAPES) for cell in cells) + "\n")
    partial.replace(path)
