"""Shows the `__main__` guard: what a script without it is told, and what workers cost to start by each method."""

import multiprocessing
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import matplotlib.pyplot as plt

from groundup.engine.loader import DataLoader

OUT = Path("runs/sprints/02_datasets_and_dataloaders")
LOOP = """\
for batch in DataLoader([1, 2, 3], batch_size=2, num_workers=1, multiprocessing_context="spawn"):
    print(batch)
"""
IMPORT = "from groundup.engine.loader import DataLoader\n\n"
SCRIPTS = {
    "unguarded.py": IMPORT + LOOP,
    "guarded.py": f'{IMPORT}if __name__ == "__main__":\n{textwrap.indent(LOOP, "    ")}',
}


def first_and_next(method: str) -> tuple[float, float]:
    """Return the milliseconds to the first batch, and to the first of another epoch with workers that stayed."""
    loader = DataLoader(range(64), 8, num_workers=1, persistent_workers=True, multiprocessing_context=method)
    times = []
    for _ in range(2):
        started = time.perf_counter()
        for i, _ in enumerate(loader):
            if not i:
                times.append(1e3 * (time.perf_counter() - started))
    return times[0], times[1]


def plot(found: dict[str, tuple[float, float]], path: Path) -> None:
    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, panel = plt.subplots(figsize=(8.5, 3.6))
    figure.suptitle("What it costs to start a worker")
    for row, (label, colour) in enumerate([("workers start", "C1"), ("persistent workers, next epoch", "C0")]):
        at = [place + (row - 0.5) * 0.36 for place in range(len(found))]
        lengths = [times[row] for times in found.values()]
        panel.barh(at, lengths, 0.32, color=colour, label=label)
        for y, length in zip(at, lengths, strict=True):
            panel.text(length * 1.06, y, f"{length:,.1f} ms", va="center", fontsize=9, color="#333333")
    panel.set_yticks(range(len(found)), found)
    panel.tick_params(axis="y", length=0, labelsize=10)
    panel.invert_yaxis()
    longest = max(map(max, found.values()))
    panel.set(title="Time to the first batch", xscale="log", xlabel="milliseconds", xlim=(0.1, longest * 30))
    panel.set_xticks([0.1, 1, 10, 100, 1000, 10_000], ["0.1", "1", "10", "100", "1,000", "10,000"])
    panel.set_xticks([], minor=True)
    panel.legend(loc="upper right")
    figure.savefig(path)


def main(out: Path = OUT) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, text in SCRIPTS.items():
            script = Path(folder) / name
            script.write_text(text, encoding="utf-8")
            print(f"$ cat {name}\n{text}$ python {name}")
            done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
            told = [line for line in done.stderr.splitlines() if line.startswith("RuntimeError: ")]
            explained = done.stderr.split(told[0])[1].split("num_workers=0.")[0] if told else ""
            said = f"{told[0]}{explained}num_workers=0.\n" if told else done.stdout
            print(f"{said}(exit code {done.returncode})\n")
    found = {}
    print("method         to the first batch   next epoch, persistent workers")
    for method in multiprocessing.get_all_start_methods():
        found[method] = first_and_next(method)
        print(f"{method:<12}{found[method][0]:>18.1f} ms{found[method][1]:>30.1f} ms")
    try:
        next(iter(DataLoader([1], num_workers=1, collate_fn=lambda _: 1, multiprocessing_context="spawn")))
    except TypeError as error:
        print(f"\nWhat spawn cannot send, fork would have inherited: {error}.")
    out.mkdir(parents=True, exist_ok=True)
    path = out / "main_guard.png"
    plot(found, path)
    print(f"plot: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
