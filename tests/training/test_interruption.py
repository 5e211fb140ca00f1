"""Ctrl-C: at once outside an update, after it inside, and handed back at the end."""

import signal
import threading

import pytest

from groundup.training.interruption import SIGNALS, Interruption


def press() -> None:
    signal.raise_signal(signal.SIGINT)


def test_outside_an_update_it_stops_at_once():
    with Interruption(), pytest.raises(KeyboardInterrupt):
        press()


def test_an_update_is_finished_first_and_one_stop_is_enough():
    done = []

    def update(interruption: Interruption) -> None:
        with interruption.deferred():
            press()
            press()
            done.append("update")

    with Interruption() as interruption:
        with pytest.raises(KeyboardInterrupt):
            update(interruption)
        with interruption.deferred():
            done.append("next")  # what was pending is gone
    assert done == ["update", "next"]


def test_an_error_inside_an_update_is_not_hidden():
    def update(interruption: Interruption) -> None:
        with interruption.deferred():
            press()
            raise ValueError("broken")

    with Interruption() as interruption:
        with pytest.raises(ValueError, match="broken"):
            update(interruption)
        with pytest.raises(KeyboardInterrupt):
            press()  # nothing is held back any more


@pytest.mark.parametrize("number", SIGNALS)
def test_either_signal_stops_it_and_the_previous_handler_comes_back(number: signal.Signals):
    before = signal.getsignal(number)
    with Interruption():
        assert signal.getsignal(number) != before
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
    assert signal.getsignal(number) == before


def test_other_threads_train_without_it():
    found = []

    def run() -> None:
        with Interruption() as interruption, interruption.deferred():
            found.append(True)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found == [True]
