"""The display: quiet without a console, plain lines without a terminal, a bar on one."""

import io

import pytest
from rich.console import Console

from groundup.training.progress import Meter, TrainingDisplay


def shown(
    *, is_terminal: bool, monkeypatch: pytest.MonkeyPatch, seconds_between_lines: float = 1e9, counts: str = "tokens"
) -> str:
    monkeypatch.setattr("groundup.training.progress.SECONDS_BETWEEN_LINES", seconds_between_lines)
    console = Console(file=io.StringIO(), force_terminal=is_terminal, width=120, color_system=None)
    with TrainingDisplay(console, n_steps=100, step=0, counts=counts) as display:
        display.advance(10)
        display.show_step(10, loss=2.5, per_second=14_120.0)
        display.show_evaluation(10, {"loss": 2.25, "bits_per_byte": 1.5}, "\nOnce [bold]upon\na time", best_step=5)
        display.say("a line")
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("is_terminal", [True, False])
def test_evaluations_and_samples_stay_on_the_screen(is_terminal: bool, monkeypatch: pytest.MonkeyPatch):
    text = shown(is_terminal=is_terminal, monkeypatch=monkeypatch)
    assert "step 10/100  validation loss 2.2500  bits per byte 1.5000  (best: step 5)" in text
    assert "    Once [bold]upon\n    a time" in text  # text of a model is never markup
    assert "a line" in text


def test_without_a_terminal_steps_are_lines_now_and_then(monkeypatch: pytest.MonkeyPatch):
    assert "14.1k tokens/s" not in shown(is_terminal=False, monkeypatch=monkeypatch)
    text = shown(is_terminal=False, monkeypatch=monkeypatch, seconds_between_lines=0.0)
    assert "step 10/100  loss 2.500  14.1k tokens/s  0:00 left" in text
    assert "\x1b" not in text


def test_speed_is_of_what_is_learned_from(monkeypatch: pytest.MonkeyPatch):
    assert "14.1k images/s" in shown(
        is_terminal=False, monkeypatch=monkeypatch, seconds_between_lines=0.0, counts="images"
    )


def test_without_a_console_nothing_is_shown(capsys: pytest.CaptureFixture[str]):
    with TrainingDisplay(None, n_steps=10, step=0) as display:
        display.say("hello")
        display.advance(1)
        display.show_step(1, loss=1.0, per_second=1.0)
        display.show_evaluation(1, {"loss": 1.0}, "text", best_step=1)
    assert capsys.readouterr() == ("", "")


def test_time_left_counts_this_session_only(monkeypatch: pytest.MonkeyPatch):
    now = [0.0]
    monkeypatch.setattr("groundup.training.progress.time.perf_counter", lambda: now[0])
    display = TrainingDisplay(None, n_steps=100, step=50)
    assert display.time_left(50) == "?"
    now[0] = 30.0
    assert display.time_left(60) == "2:00"  # ten steps took 30 s, forty are left
    assert display.time_left(100) == "0:00"


def test_the_meter_leaves_pauses_out(monkeypatch: pytest.MonkeyPatch):
    now = [0.0]
    monkeypatch.setattr("groundup.training.progress.time.perf_counter", lambda: now[0])
    meter = Meter()
    meter.add(100)
    now[0] = 2.0
    assert meter.rate() == 50.0
    now[0] = 10.0  # an evaluation
    meter.restart()
    assert meter.rate() == 0.0
    meter.add(30)
    now[0] = 11.0
    assert meter.rate() == 30.0
