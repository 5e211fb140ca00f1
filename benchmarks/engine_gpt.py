"""A training step of the GPT, 4 layers × 128, context 64, batch 12: our engine beside torch; time and peak memory.

Both have the same weights and batch, AdamW and gradient clipping. Memory is what a process of its own holds at its
highest during training steps above what it held with the model and optimizer made, the peak of the resident set.
"""

import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from benchmarks import alternate, steps_with
from groundup import engine
from groundup.configs.model import GPTConfig
from groundup.engine import gpt as hand_written
from groundup.engine import optim
from groundup.engine.functional import cross_entropy
from groundup.models import gpt as torch_written

VOCAB, CONTEXT, BATCH = 65, 64, 12
STEPS, ROUNDS = 5, 7


def config(tiny):
    layers, width = (1, 16) if tiny else (4, 128)
    return GPTConfig(vocab_size=VOCAB, context_length=CONTEXT, n_layers=layers, d_model=width, n_heads=4)


def batch():
    ids = np.random.default_rng(0).integers(0, VOCAB, (BATCH, CONTEXT + 1))
    return ids[:, :-1].copy(), ids[:, 1:].copy()


def with_torch(size):
    torch.manual_seed(0)
    model = torch_written.GPT(size).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    x, y = map(torch.from_numpy, batch())

    def step():
        loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return loss.item()

    return step, model


def ours(size):
    model = hand_written.GPT(**asdict(size))
    model.load_state_dict({name: engine.tensor(p.numpy()) for name, p in with_torch(size)[1].state_dict().items()})
    optimizer = optim.AdamW(model.parameters(), lr=1e-3)
    x, y = map(engine.tensor, batch())

    def step():
        loss = cross_entropy(model(x).reshape(-1, VOCAB), y.reshape(-1))
        loss.backward()
        optim.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return loss.item()

    return step, model


MAKERS = {"torch, eager": with_torch, "groundup engine": ours}


def status(field):
    """Return a field of this process's status, in MB (Linux); 0 elsewhere."""
    try:
        with Path("/proc/self/status").open() as lines:
            return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024
    except (OSError, StopIteration):
        return 0.0


def memory_of(name, tiny):
    """Print how far the resident memory of this process rises in a few steps, with one thread."""
    torch.set_num_threads(1)
    step, _ = MAKERS[name](config(tiny))
    before = status("VmRSS")
    for _ in range(3):
        step()
    print(status("VmHWM") - before)


def run(tiny):
    n_steps, rounds = (1, 1) if tiny else (STEPS, ROUNDS)
    code = "import sys; from benchmarks import engine_gpt as b; b.memory_of(sys.argv[1], sys.argv[2] == 'True')"
    memory = {}
    for name in MAKERS:
        done = subprocess.run([sys.executable, "-c", code, name, str(tiny)], capture_output=True, text=True, check=True)
        memory[name] = float(done.stdout)
    before = torch.get_num_threads()
    times, first = {}, {}
    for threads in (1, 2):
        steps = {name: make(config(tiny))[0] for name, make in MAKERS.items()}
        first |= {name: step() for name, step in steps.items()}
        contenders = {name: steps_with(step, threads, n_steps) for name, step in steps.items()}
        alternate(contenders, 1)
        times |= {(threads, name): found for name, found in alternate(contenders, rounds).items()}
    torch.set_num_threads(before)
    rows = []
    for (threads, name), found in times.items():
        peer = times[threads, "torch, eager"].median
        rows.append({"threads": threads, "who": name, "ms a step": f"{1e3 * found.median / n_steps:.1f}",
                     "fastest – slowest": " – ".join(f"{1e3 * pick(found.wall) / n_steps:.1f}" for pick in (min, max)),
                     "time / torch": f"{found.median / peer:.2f}",
                     "peak MB (1 thread)": f"{memory[name]:.0f}" if threads == 1 else "–",
                     "peak / torch": f"{memory[name] / memory['torch, eager']:.2f}" if threads == 1 else "–",
                     "first loss": f"{first[name]:.6f}"})  # fmt: skip
    size = config(tiny)
    what = (f"GPT {size.n_layers} × {size.d_model}, context {CONTEXT}, batch {BATCH}, vocabulary {VOCAB}, float32, "
            f"forward, backward, clipping, AdamW; {rounds} turns of {n_steps} steps. Peak: above model and optimizer "
            "at rest, each in a process of its own.")  # fmt: skip
    return {"what": what, "rows": rows}
