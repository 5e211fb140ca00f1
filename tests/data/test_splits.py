import itertools
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.data.corpora import Corpus, Document, find_corpus
from groundup.data.splits import split, training_text

TEXTS = st.lists(st.text("aé€🙂\n", min_size=1), min_size=1, max_size=12)
FRACTIONS = st.floats(0.001, 0.999)


def corpus_of(texts: list[str], piece: int = 3) -> Corpus:
    def documents():
        for text in texts:
            pieces = [text[i : i + piece] for i in range(0, len(text), piece)]
            yield Document(n_bytes=len(text.encode()), pieces=iter(pieces))

    n_bytes = sum(len(text.encode()) for text in texts)
    return Corpus(name="", source="", licence="", n_bytes=n_bytes, is_collection=len(texts) > 1, documents=documents)


def parts(corpus: Corpus, fraction: float) -> list[tuple[str, bool, str]]:
    return [(part.side, part.begins_document, "".join(part.pieces)) for part in split(corpus, fraction)]


@given(texts=TEXTS, fraction=FRACTIONS, piece=st.integers(1, 5))
def test_every_character_is_on_exactly_one_side(texts: list[str], fraction: float, piece: int):
    found = parts(corpus_of(texts, piece), fraction)
    assert "".join(text for _, _, text in found) == "".join(texts)
    sides = [side for side, _, _ in found]
    assert sides == sorted(sides)  # "train" before "validation": nothing held out lies between learned texts
    assert sum(begins for _, begins, _ in found) == len(texts)


@given(texts=TEXTS, fraction=FRACTIONS)
def test_documents_stay_whole_unless_they_exceed_what_is_held_out(texts: list[str], fraction: float):
    corpus = corpus_of(texts)
    held_out = corpus.n_bytes - int(corpus.n_bytes * (1 - fraction))
    found = parts(corpus, fraction)
    for (_, _, head), (_, begins, tail) in itertools.pairwise(found):
        if not begins:
            assert len((head + tail).encode()) > held_out or head + tail == texts[0]


@given(texts=TEXTS, fraction=FRACTIONS)
def test_the_held_out_part_is_close_to_what_was_asked(texts: list[str], fraction: float):
    corpus = corpus_of(texts)
    asked = corpus.n_bytes - int(corpus.n_bytes * (1 - fraction))
    got = sum(len(text.encode()) for side, _, text in parts(corpus, fraction) if side == "validation")
    # From above: one document no longer than `asked`, or the 3 bytes of a character that the boundary fell into.
    assert asked <= got <= max(2 * asked, asked + 3)


@pytest.mark.parametrize("fraction", [0.01, 0.1, 0.34, 0.5, 0.9, 0.99])
def test_two_files_are_enough(fraction: float):
    found = parts(corpus_of(["a" * 500, "b" * 500]), fraction)
    held_out = sum(len(text) for side, _, text in found if side == "validation")
    assert 0 <= held_out - 1_000 * fraction <= 1  # rounded up to a whole byte
    assert found[0][0] == "train"


def test_many_documents_are_not_cut():
    found = parts(corpus_of(["x" * 10] * 101), 0.1)
    assert [len(text) for _, _, text in found] == [10] * 101
    assert [side for side, _, _ in found].count("validation") == 11  # 101 bytes, and no document in two


def test_documents_are_asked_for_one_by_one():
    class ReadError(Exception):
        pass

    def documents():
        yield Document(n_bytes=5, pieces=iter(["first"]))
        raise ReadError

    corpus = Corpus(name="", source="", licence="", n_bytes=100, is_collection=True, documents=documents)
    found = split(corpus, 0.1)
    assert "".join(next(found).pieces) == "first"
    with pytest.raises(ReadError):
        next(found)


def test_a_head_that_was_not_read_does_not_reach_the_held_out_side():
    train, validation = split(corpus_of(["0123456789"]), 0.3)
    assert (train.side, "".join(validation.pieces)) == ("train", "789")


@given(texts=TEXTS, fraction=FRACTIONS)
def test_training_text_is_the_training_side(texts: list[str], fraction: float):
    corpus = corpus_of(texts)
    expected = "|".join(text for side, _, text in parts(corpus, fraction) if side == "train")
    assert "".join(training_text(corpus, fraction, separator="|")) == expected


@pytest.mark.skipif(not os.environ.get("GROUNDUP_DATA"), reason="GROUNDUP_DATA is unset: no real texts here")
def test_shakespeare_is_split_where_everybody_splits_it():
    # The published character-level results train on the first 1,003,854 characters and measure on 111,540.
    assert [len(text) for _, _, text in parts(find_corpus("shakespeare"), 0.1)] == [1_003_854, 111_540]
