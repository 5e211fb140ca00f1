"""Labelled texts in three parts, from files of one's own."""

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.configs.finetune_runs import LabelledConfig
from groundup.data import labelled
from groundup.data.labelled import Labelled, LabelledSplits, load_labelled, read_more
from groundup.data.labelled_corpora import LABELLED
from groundup.data.labelled_files import LabelledRows
from groundup.errors import InputError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder for files given by name, so that notes are short."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(name: str, pairs: list[tuple[str, str]]) -> str:
    Path(name).write_text("text\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in pairs), encoding="utf-8")
    return name


def pairs_of(data: Labelled) -> list[tuple[str, str]]:
    return [(text, data.names[label]) for text, label in zip(data.texts, data.labels, strict=True)]


def refusal(**fields: object) -> str:
    with pytest.raises(InputError) as caught:
        load_labelled(LabelledConfig(**fields))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def mail(n_ham: int, n_spam: int) -> list[tuple[str, str]]:
    return [(f"see you {i}", "ham") for i in range(n_ham)] + [(f"you won {i}", "spam") for i in range(n_spam)]


def test_the_parts_of_a_file(folder: Path):
    config = LabelledConfig(file=write("mail.tsv", mail(70, 30)))
    splits = load_labelled(config)
    assert (splits.names, splits.notes) == (("ham", "spam"), ())
    assert [part.counts for part in (splits.train, splits.validation, splits.test)] == [(49, 21), (7, 3), (14, 6)]
    assert load_labelled(config) == splits
    assert load_labelled(dataclasses.replace(config, seed=1)) != splits


@settings(max_examples=25, derandomize=True)
@given(
    rows=st.lists(st.tuples(st.integers(0, 30).map(str), st.sampled_from("xyz")), max_size=50),
    balanced=st.booleans(),
    max_examples=st.none() | st.integers(20, 90),
)
def test_everything_is_somewhere_and_no_text_is_in_two_parts(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], balanced: bool, max_examples: int | None
):
    file = tmp_path_factory.mktemp("rows") / "rows.tsv"
    rows += [(f"{label} {i}", label) for i in range(10) for label in "xyz"]  # else there may be nothing to split
    write(str(file), rows)
    config = LabelledConfig(file=str(file), validation_fraction=0.0, test_fraction=0.3)
    splits = load_labelled(dataclasses.replace(config, balanced=balanced, max_examples=max_examples))
    found = [pairs_of(part) for part in (splits.train, splits.validation, splits.test)]
    assert not {text for text, _ in found[0]} & {text for text, _ in found[2]}
    assert found[1] == []
    assert set(splits.train.labels) == set(range(len(splits.names)))
    together = sorted(pair for part in found for pair in part)
    if not balanced and (max_examples is None or max_examples >= len(rows)):
        assert together == sorted(rows)
    elif not balanced:
        assert len(together) == max_examples
    assert all(together.count(pair) <= rows.count(pair) for pair in together)


def test_balanced_and_at_most(folder: Path):
    file = write("mail.tsv", mail(70, 30))
    splits = load_labelled(LabelledConfig(file=file, balanced=True))
    assert [part.counts for part in (splits.train, splits.validation, splits.test)] == [(21, 21), (3, 3), (6, 6)]
    assert splits.notes == ("30 texts of each label taken, 40 left out",)
    splits = load_labelled(LabelledConfig(file=file, balanced=True, max_examples=20))
    assert [part.counts for part in (splits.train, splits.validation, splits.test)] == [(7, 7), (1, 1), (2, 2)]
    assert splits.notes[1:] == ("20 of 60 texts taken",)
    splits = load_labelled(LabelledConfig(file=file, max_examples=10, validation_fraction=0.0))
    assert [part.counts for part in (splits.train, splits.validation, splits.test)] == [(6, 2), (0, 0), (1, 1)]
    assert load_labelled(LabelledConfig(file=file, max_examples=100)).notes == ()
    write("three.tsv", [*mail(5, 5), ("lunch?", "work")])
    assert "max_examples must be at least 3, a text of each label, found 2" in refusal(file="three.tsv", max_examples=2)


def test_repeated_texts_are_counted_and_stay_together(folder: Path):
    copies = [("see you 1 ", "ham"), ("  see you 1", "ham"), ("torn", "ham"), ("torn", "spam"), ("", "ham")]
    rows = mail(60, 60) + copies
    splits = load_labelled(LabelledConfig(file=write("mail.tsv", rows), test_fraction=0.4))
    assert splits.notes == (
        "1 empty text left out of mail.tsv",
        "3 repeated texts: copies stay in one part",
        "1 text with more than one label: kept in training",
    )
    assert [p for p in pairs_of(splits.train) if p[0] == "torn"] == [("torn", "ham"), ("torn", "spam")]
    assert sorted(part.texts.count("see you 1") for part in (splits.train, splits.validation, splits.test)) == [0, 0, 3]


def test_files_of_their_own(folder: Path):
    write("train.tsv", mail(40, 40))
    write("dev.tsv", [*mail(4, 4), *mail(4, 0), ("new", "spam")])
    write("test.tsv", [("see you 0", "spam"), ("see you 39", "ham"), ("other", "ham"), ("other", "ham"), ("", "ham")])
    splits = load_labelled(LabelledConfig(file="train.tsv", validation_file="dev.tsv", test_file="test.tsv"))
    assert splits.notes == (
        "1 empty text left out of test.tsv",
        "2 texts left out of validation, being in the test too",
        "7 texts left out of training, being in validation too",
        "2 texts left out of training, being in the test too",
    )
    assert pairs_of(splits.test)[0] == ("see you 0", "spam")
    assert [part.counts for part in (splits.train, splits.validation, splits.test)] == [(35, 36), (6, 5), (3, 1)]
    only = load_labelled(LabelledConfig(file="train.tsv", test_file="test.tsv", validation_fraction=0.5))
    assert [part.counts for part in (only.train, only.validation, only.test)] == [(19, 20), (19, 20), (3, 1)]
    alone = load_labelled(LabelledConfig(file="train.tsv", validation_file="dev.tsv", test_fraction=0.0))
    assert [part.counts for part in (alone.train, alone.validation, alone.test)] == [(36, 36), (8, 5), (0, 0)]


def test_names_are_in_their_order(folder: Path):
    numbers = [(f"{i} {label}", label) for i in range(20) for label in ("10", "9", "-1")]
    assert load_labelled(LabelledConfig(file=write("a.tsv", numbers))).names == ("-1", "9", "10")
    words = [(f"{i} {label}", label) for i in range(20) for label in ("b", "10", "9")]
    assert load_labelled(LabelledConfig(file=write("a.tsv", words))).names == ("10", "9", "b")


def test_what_cannot_be_split(folder: Path):
    write("mail.tsv", mail(5, 5))
    assert "expected at least two labels to tell apart in one.tsv, found only 'ham'" in refusal(
        file=write("one.tsv", mail(9, 0))
    )
    assert "found 10 texts with a different label each: is 'label' their column?" in refusal(
        file=write("swapped.tsv", [(f"{label} {i}", text) for i, (text, label) in enumerate(mail(5, 5))])
    )
    unseen = write("unseen.tsv", [("hm", "work"), ("ha", "play"), ("see you", "ham")])
    assert "expected the labels of training ('ham', 'spam') in the test texts, found 'play', 'work'" in refusal(
        file="mail.tsv", test_file=unseen
    )
    assert "in the validation texts, found 'play', 'work'" in refusal(file="mail.tsv", validation_file=unseen)
    assert "expected texts for training that are not in the test too, found none" in refusal(
        file="mail.tsv", test_file="mail.tsv"
    )
    assert "expected enough texts in mail.tsv for a validation part of 0.01, found 10 different texts" in refusal(
        file="mail.tsv", validation_fraction=0.01
    )
    assert "leave texts to learn from, found 0.5 twice" in refusal(
        file="mail.tsv", validation_fraction=0.5, test_fraction=0.5
    )


def test_what_cannot_be_found(folder: Path):
    assert "labelled corpus (sms-spam, sst2, moods) or a .csv, .tsv, .jsonl file, found 'mods': check" in refusal(
        file="mods"
    )
    assert "check its spelling" in refusal(file="mail.tsv")
    Path("mail.txt").write_text("a\tb\n")
    assert "give it its suffix" in refusal(file="mail.txt")
    write("mail.tsv", mail(5, 5))
    assert "found 'no.tsv': check" in refusal(file="mail.tsv", test_file="no.tsv")


def test_labels_fit_texts_and_names():
    for texts, labels in ((("a",), ()), (("a",), (2,)), (("a",), (-1,))):
        with pytest.raises(ValueError, match=r"expected a label in \[0, 2\) for each text"):
            Labelled(texts=texts, labels=labels, names=("x", "y"))
    empty = Labelled(texts=(), labels=(), names=("x", "y"))
    assert empty.counts == (0, 0)
    assert LabelledSplits(train=empty, validation=empty, test=empty, names=empty.names, notes=()).test is empty


def test_of_a_corpus_in_parts_those_for_the_test_are_measured(monkeypatch: pytest.MonkeyPatch):
    def part_of(corpus: object, part: int) -> LabelledRows:
        return LabelledRows(texts=(f"text of part {part}",), labels=("positive",))

    monkeypatch.setattr(labelled, "read_part", part_of)
    assert read_more(LabelledConfig(file="sst2"), ("negative", "positive"))[0].texts == ("text of part 2",)
    monkeypatch.setattr(labelled, "LABELLED", {"mine": LABELLED["moods"]})
    assert read_more(LabelledConfig(file="mine"), ("negative", "positive"))[0].texts == ("text of part 0",)


def test_what_was_left_out_of_a_file_to_be_measured_is_told(folder: Path):
    (folder / "more.tsv").write_text("text\tlabel\nfine\tyes\n \tno\nbad\tno\n")
    more, notes = read_more(LabelledConfig(file="more.tsv"), ("no", "yes"))
    assert more.texts == ("fine", "bad")
    assert notes == ("1 empty text left out of more.tsv",)
