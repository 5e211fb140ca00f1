"""What dealing windows from a token file of one gigabyte keeps in memory: ours, and nanoGPT's way with numpy's memmap.

Each contender runs in a process of its own. Resident memory is read from /proc, so the figures exist on Linux only.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

BATCHES = {"char (16 x 257)": (16, 256), "large (64 x 1025)": (64, 1_024)}


def resident():
    """Return this process's resident memory in MB: all of it, and the part that is pages of files."""
    status = Path("/proc/self/status")
    if not status.exists():
        return 0.0, 0.0
    kilobytes = dict(line.split(":", 1) for line in status.read_text().splitlines())
    return tuple(int(kilobytes[name].split()[0]) / 1024 for name in ("VmRSS", "RssFile"))


def write(path, n_bytes):
    """Write pages that are really there: a hole in a sparse file would be read from memory, not from the disk."""
    block = np.random.default_rng(0).integers(0, 50_257, 1 << 22, dtype=np.uint16)
    with path.open("wb") as file:
        for _ in range(max(1, n_bytes // block.nbytes)):
            file.write(block if n_bytes >= block.nbytes else block[: n_bytes // 2])


def as_nanogpt(path, batch_size, context_length):
    generator = np.random.default_rng(0)

    def batch(step):
        ids = np.memmap(path, dtype=np.uint16, mode="r")  # opened for every batch, against a leak, as its train.py does
        starts = generator.integers(0, len(ids) - context_length, batch_size)
        return [np.stack([ids[i + shift : i + shift + context_length].astype(np.int64) for i in starts])
                for shift in (0, 1)]  # fmt: skip

    return batch


def kept_open(path, batch_size, context_length):
    ids = np.memmap(path, dtype=np.uint16, mode="r")
    generator = np.random.default_rng(0)

    def batch(step):
        starts = generator.integers(0, len(ids) - context_length, batch_size)
        return [ids[i : i + context_length + 1].astype(np.int64) for i in starts]

    return batch


def as_ours(path, batch_size, context_length):
    from groundup.data.windows import Windows

    windows = Windows(np.memmap(path, dtype=np.uint16, mode="r"), context_length, seed=0)
    return lambda step: windows.batch(step, batch_size)


CONTENDERS = {"groundup Windows": as_ours, "memmap opened for every batch, as nanoGPT's": as_nanogpt,
              "memmap kept open": kept_open}  # fmt: skip


def child(name, path, batch_size, context_length, n_batches):
    """Print what the batches took and left, as JSON."""
    from time import perf_counter

    batch = CONTENDERS[name](path, batch_size, context_length)
    batch(0)
    before, highest, started = resident(), resident(), perf_counter()
    for step in range(1, n_batches + 1):
        batch(step)
        if step % 50 == 0:
            highest = tuple(map(max, highest, resident()))
    seconds = perf_counter() - started
    highest = tuple(map(max, highest, resident()))
    print(json.dumps({"seconds": seconds, "grown": highest[0] - before[0], "file": highest[1] - before[1]}))


def measure(name, path, shape, n_batches):
    code = f"from benchmarks.loader_memory import child; child({name!r}, {str(path)!r}, *{shape}, {n_batches})"
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[1], capture_output=True, text=True,
                          env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"})  # fmt: skip
    if done.returncode:
        raise SystemExit(done.stderr.strip().splitlines()[-1])
    return json.loads(done.stdout)


def run(tiny):
    n_bytes, n_batches = (4_000_000, 20) if tiny else (1_000_000_000, 4_000)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tokens.bin"
        write(path, n_bytes)
        for label, shape in BATCHES.items():
            for name in CONTENDERS:
                found = [measure(name, path, shape, n_batches) for _ in range(1 if tiny else 3)]
                fast = sorted(one["seconds"] for one in found)[len(found) // 2]
                rows.append({"batch": label, "loader": name, "batches/s": f"{n_batches / fast:,.0f}",
                             "resident memory grew by, MB": f"{max(one['grown'] for one in found):.0f}",
                             "of it pages of the file, MB": f"{max(one['file'] for one in found):.0f}"})  # fmt: skip
    what = (
        f"A file of {n_bytes / 1e6:,.0f} MB of uint16 tokens, {n_batches:,} batches of random windows, each contender "
        "in a process of its own; median speed and largest memory of three runs."
    )
    return {"what": what, "rows": rows}
