"""groundup data: labelled corpora are listed beside the plain ones, and shown."""

import pytest

from groundup.cli.main import main


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["data", *arguments]) == 0
    return capsys.readouterr().out


def test_every_corpus_is_listed(capsys: pytest.CaptureFixture[str]):
    plain, labelled = said(capsys).split("labelled texts:")
    assert "tales" in plain
    for name in ("sms-spam", "sst2", "moods"):
        assert f"\n{name} " in labelled
    assert "SMS Spam Collection: 5,574 short messages" in labelled
    assert "here: made when it is asked for" in labelled


def test_a_labelled_corpus_is_shown(capsys: pytest.CaptureFixture[str]):
    whole = said(capsys, "moods", "--characters", "900")
    assert whole.startswith("thankful\tMeet a cheerful young lamb named Leo.")
    assert len(whole) == 900 + len("\n")
    assert "\nsad\t" in whole
    assert said(capsys, "moods", "--characters", "11") == "thankful\tMe\n"
