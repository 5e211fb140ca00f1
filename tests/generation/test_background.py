"""Background streams: the same pieces, errors where they belong, and nothing left running."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from groundup.configs import GenerationConfig, GPTConfig
from groundup.configs.generation import BeamConfig
from groundup.generation import BackgroundStream, background, stream
from groundup.models.gpt import GPT
from groundup.tokenization.characters import CharacterTokenizer

PATIENCE = 10.0  # seconds; only a defect waits that long


class Counter:
    """Counts without end, slowly, and remembers where and whether it was closed."""

    def __init__(self) -> None:
        self.n, self.closed_in = 0, threading.Event()
        self.thread: threading.Thread | None = None

    def pieces(self) -> Iterator[int]:
        try:
            while True:
                self.n += 1
                time.sleep(0.001)
                yield self.n
        finally:
            self.thread = threading.current_thread()
            self.closed_in.set()


def gpt() -> GPT:
    torch.manual_seed(0)
    return GPT(GPTConfig(vocab_size=3, context_length=64, d_model=16, n_layers=1, n_heads=2))


ABC = CharacterTokenizer("abc")


@pytest.mark.parametrize("strategy", ["sample", "beam"])
def test_the_pieces_are_those_of_the_stream_itself(strategy: str):
    model, config = gpt(), GenerationConfig(strategy=strategy, max_new_tokens=20)
    assert list(BackgroundStream(stream(model, ABC, "ab", config))) == list(stream(model, ABC, "ab", config))


def test_an_error_comes_after_the_pieces_before_it_and_only_once():
    def pieces() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    numbers = BackgroundStream(pieces())
    assert next(numbers) == 1
    with pytest.raises(ValueError, match="broken"):
        next(numbers)
    assert list(numbers) == []


def test_stop_ends_within_a_step_and_what_was_drawn_can_still_be_read():
    counter = Counter()
    numbers = BackgroundStream(counter.pieces())
    first = [next(numbers) for _ in range(3)]
    numbers.stop()
    seen = counter.n
    numbers.stop()  # again: nothing happens
    rest = list(numbers)
    assert [*first, *rest] == list(range(1, counter.n + 1))  # none lost
    assert counter.n <= seen + 1  # the one in the making when it was stopped
    assert counter.closed_in.wait(PATIENCE)


def test_another_thread_may_stop_it():
    numbers = BackgroundStream(Counter().pieces())
    threading.Timer(0.02, numbers.stop).start()
    assert len(list(numbers)) > 0  # it ends


def test_leaving_a_with_closes_it_in_its_own_thread():
    counter = Counter()
    with pytest.raises(ZeroDivisionError), BackgroundStream(counter.pieces()) as numbers:
        1 / (next(numbers) - 1)
    assert counter.closed_in.is_set()
    assert counter.thread is not threading.current_thread()
    n = counter.n
    time.sleep(0.02)
    assert counter.n == n


def test_an_abandoned_stream_does_not_go_on_and_the_model_trains_again():
    model = gpt().train()
    pieces = BackgroundStream(stream(model, ABC, "ab", GenerationConfig(max_new_tokens=10**6)))
    next(pieces)
    assert not model.training
    del pieces  # waits for the step in the making
    assert model.training


def test_stop_ends_a_beam_search_with_its_best_so_far():
    stopped, config = (
        threading.Event(),
        GenerationConfig(strategy="beam", beam=BeamConfig(n_beams=2), max_new_tokens=62),
    )
    model, read = gpt(), threading.Event()

    def reading(*_: object) -> None:
        n_read[0] += 1
        if n_read[0] == 5:
            read.set()
            assert stopped.wait(PATIENCE)

    n_read = [0]
    model.final_norm.register_forward_pre_hook(reading)
    steps = BackgroundStream(stream(model, ABC, "ab", config, is_stopped=stopped.is_set), stopped)
    assert read.wait(PATIENCE)
    steps.stop()
    best = list(steps)
    assert len(best) == 5  # the fifth reading had begun
    assert n_read[0] == 5
    assert [step.token for step in best] == [
        step.token for step in stream(gpt(), ABC, "ab", replace(config, max_new_tokens=5))
    ]


def test_a_program_may_end_in_the_middle_of_a_stream():
    # The file alone: importing its package would import torch, which takes seconds.
    load = f"import itertools, runpy; stream = runpy.run_path({background.__file__!r})['BackgroundStream']"
    code = f"{load}(itertools.count()); print(next(stream))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "0\n", "")
