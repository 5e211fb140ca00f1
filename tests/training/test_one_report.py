"""A full disk is told once; any other mistake in a thread is still told."""

import threading

import pytest

from groundup.training.one_report import one_report


@pytest.mark.parametrize(("error", "is_told"), [(OSError(28, "No space left on device"), False), (KeyError("x"), True)])
def test_what_a_thread_may_say(monkeypatch: pytest.MonkeyPatch, error: Exception, is_told: bool):
    told: list[object] = []
    monkeypatch.setattr(threading, "excepthook", lambda found: told.append(found.exc_value))

    def fail() -> None:
        raise error

    before = threading.excepthook
    with one_report():
        thread = threading.Thread(target=fail)
        thread.start()
        thread.join()
    assert told == ([error] if is_told else [])
    assert threading.excepthook is before
