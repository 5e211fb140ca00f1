"""`groundup studio`: says where it is, ends with Ctrl-C, and refuses in one line what it cannot serve."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from groundup import serving
from groundup.cli.main import main


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """What `serve` was called with; Ctrl-C is pressed as soon as it is waited for."""
    calls: list[dict[str, object]] = []

    @contextmanager
    def serve(models: object, writer: object, **named: object) -> Iterator[str]:
        calls.append(named)
        yield "http://127.0.0.1:1/"
        calls.append({"has ended": True})

    def interrupted(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(serving, "serve", serve)
    monkeypatch.setattr(time, "sleep", interrupted)
    return calls


def test_it_says_where_it_is_and_ends_with_ctrl_c(served: list[dict[str, object]], capsys: pytest.CaptureFixture[str]):
    assert main(["studio", "gpt2", "--port", "7999"]) == 0
    assert served == [{"model": "gpt2", "port": 7999}, {"has ended": True}]
    said = capsys.readouterr()
    assert said.out.startswith("the studio is at http://127.0.0.1:1/     Ctrl-C ends it\n")
    assert said.out.endswith("the studio has ended\n")
    assert said.err == ""


@pytest.mark.parametrize("open_browser", [True, False])
def test_a_browser_is_opened_only_when_asked_for(
    open_browser: bool, served: list[dict[str, object]], monkeypatch: pytest.MonkeyPatch
):
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    assert main(["studio", *["--open-browser"] * open_browser]) == 0
    assert opened == ["http://127.0.0.1:1/"] * open_browser


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["no such model"], "found nothing called 'no such model'"),
        (["--port", "0"], "--port must be"),
        (["--port", "70000"], "--port must be"),
        (["--port", "x"], "expected a whole number, found 'x'"),
    ],
)
def test_what_cannot_be_served_is_refused_in_one_line(
    arguments: list[str], said: str, served: list[dict[str, object]], capsys: pytest.CaptureFixture[str]
):
    assert main(["studio", *arguments]) == 2
    shown = capsys.readouterr().err
    assert said in shown
    assert shown.count("\n") == 1
    assert served == []
