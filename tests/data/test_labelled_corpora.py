"""Labelled corpora by name: the published files as they are, and the moods as the grammar has them."""

import os
from collections import Counter
from pathlib import Path

import pytest

from groundup.configs.finetune_runs import LabelledConfig
from groundup.data.labelled import load_labelled
from groundup.data.labelled_corpora import LABELLED, MOOD_OF, MOODS_SEED, moods, read_part
from groundup.data.tales import generate, parse
from groundup.data.tales_words import MOODS
from groundup.errors import InputError

HAS_DATA = pytest.mark.skipif(not os.environ.get("GROUNDUP_DATA"), reason="GROUNDUP_DATA is unset: no real texts here")


@HAS_DATA
def test_sms_spam_is_the_published_file():
    rows = read_part(LABELLED["sms-spam"], 0)
    assert Counter(rows.labels) == {"ham": 4_827, "spam": 747}
    assert rows.texts[0].startswith("Go until jurong point, crazy..")
    splits = load_labelled(LabelledConfig(file="sms-spam", balanced=True, text_column="whatever"))
    assert [sum(part.counts) for part in (splits.train, splits.validation, splits.test)] == [1_046, 149, 299]
    assert splits.notes[0] == "747 texts of each label taken, 4,080 left out"
    assert splits.notes[1].endswith("repeated texts: copies stay in one part")


@HAS_DATA
def test_sst2_is_split_as_published():
    splits = load_labelled(LabelledConfig(file="sst2", max_tokens=64))
    assert splits.names == ("negative", "positive")
    assert [part.counts for part in (splits.train, splits.validation, splits.test)] == [
        (3_309, 3_608),
        (428, 444),
        (912, 909),
    ]
    assert splits.notes == (  # of 6,920 sentences to learn from, three are measured on: the published files leak
        "3 texts left out of training, being in the test too",
        "8 repeated texts: copies stay in one part",
    )
    assert (splits.test.texts[0], splits.test.labels[0]) == ("no movement , no yuks , not much of anything", 0)


@HAS_DATA
def test_a_published_part_can_be_replaced(tmp_path: Path):
    (tmp_path / "mine.csv").write_text('text,label\n"dull, slow",negative\n', encoding="utf-8")
    splits = load_labelled(LabelledConfig(file="sst2", test_file=str(tmp_path / "mine.csv")))
    assert splits.test.texts == ("dull, slow",)
    assert splits.validation.counts == (428, 444)


def test_moods_are_what_the_grammar_says():
    rows = moods(60)
    kind_of = {word: MOOD_OF[ending] for ending, words in MOODS.items() for word in words}
    for text, label, tale in zip(rows.texts, rows.labels, generate(MOODS_SEED, 60), strict=True):
        assert text == tale
        assert label == kind_of[parse(text).values["mood"]]
    assert any("gloomy cave" in text and label == "happy" for text, label in zip(rows.texts, rows.labels, strict=True))


def test_moods_need_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GROUNDUP_DATA", str(tmp_path))
    splits = load_labelled(LabelledConfig())
    assert splits.names == ("happy", "proud", "sad", "sorry", "thankful")
    assert sum(splits.train.counts) == 1_400
    assert splits.notes == ()


def test_where_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GROUNDUP_DATA", str(tmp_path))
    monkeypatch.setenv("GROUNDUP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    assert LABELLED["moods"].found.startswith("here")
    assert LABELLED["sst2"].found.count("not here") == 3
    with pytest.raises(InputError, match="put SMSSpamCollection at"):
        load_labelled(LabelledConfig(file="sms-spam"))
    (tmp_path / "sms_spam").mkdir()
    (tmp_path / "sms_spam" / "SMSSpamCollection").write_text("Label\tSMS\nham\tchanged\n")
    assert LABELLED["sms-spam"].found.startswith("damaged")
    with pytest.raises(InputError, match="to have SHA-256 fae7ea7d"):
        load_labelled(LabelledConfig(file="sms-spam"))
    for name, corpus in LABELLED.items():
        assert corpus.info.name == name
        assert all((part.description, part.licence, part.source) for part in corpus.parts)
