"""Texts that metrics are tested on: real German captions with a system's kind of errors, and odd strings."""

import gzip
import os
import random
from pathlib import Path

import pytest
from hypothesis import strategies as st

ODD = (
    "", " ", "a", "the cat", "Der Hund läuft.", "DER HUND", "3.14", "1,000.5", "5-year", "don't", "(hi)", "x..5", ".,5",
    "&amp;lt;", "&quot;", "<skipped>", "-\n", "\n", "\u00a0", "\u2028", "\x1c", "中文。", "こんにちは", "안녕", "ß",
    "👩\u200d👧", "İ", "—", "„Ja“", "٣", "½", "!", "?!", "%", "$5", "\u20005", "\u2a6d", "\U00020001", "a.b,c", "cat",
    "sat", "sat sat", "e\u0301",
)  # fmt: skip
TEXTS = st.lists(st.sampled_from(ODD) | st.text(max_size=6), max_size=7).map(lambda parts: random_joined(parts))
"""Lines of odd pieces, put together with and without spaces."""


def random_joined(parts: list[str]) -> str:
    """Return the pieces in a row; whether a space stands between two depends on them alone."""
    return "".join(part + (" " if len(part) % 2 else "") for part in parts)


def corpora(n_references: int = 1) -> st.SearchStrategy[tuple[list[str], list[list[str]]]]:
    """Return hypotheses with so many references; some are equal to a reference, so that long n-grams match, too."""
    rows = st.lists(st.tuples(*[TEXTS] * (n_references + 1), st.booleans()), min_size=1, max_size=5)

    def split(drawn: list[tuple[str, ...]]) -> tuple[list[str], list[list[str]]]:
        hypotheses = [row[1] + row[0] if row[-1] else row[0] for row in drawn]
        return hypotheses, [[row[1 + i] for row in drawn] for i in range(n_references)]

    return rows.map(split)


def captions(n: int, *, seed: int = 0, n_errors: int = 3) -> tuple[list[str], list[str]]:
    """Return (system, reference): captions of Multi30k's test set, the first with errors of four kinds."""
    path = Path(os.environ.get("GROUNDUP_DATA", "shared/data")) / "multi30k" / "test_2016_flickr.de.gz"
    if not path.exists():
        pytest.skip(f"needs Multi30k in GROUNDUP_DATA ({path})")
    with gzip.open(path, "rt", encoding="utf-8") as file:
        references = [line.rstrip("\n") for line in file][:n]
    draw = random.Random(seed)
    vocabulary = sorted({word for line in references for word in line.split()})
    return [_spoilt(line, draw, vocabulary, draw.randint(0, 2 * n_errors)) for line in references], references


def _spoilt(line: str, draw: random.Random, vocabulary: list[str], n_errors: int) -> str:
    words = line.split()
    for _ in range(n_errors):
        i = draw.randrange(len(words))
        kind = draw.choice(("drop", "double", "swap", "replace"))
        if kind == "drop" and len(words) > 1:
            del words[i]
        elif kind == "double":
            words.insert(i, words[i])
        elif kind == "swap":
            words[i - 1], words[i] = words[i], words[i - 1]
        else:
            words[i] = draw.choice(vocabulary)
    return " ".join(words)
