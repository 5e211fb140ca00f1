"""One training step of an MLP, 784-128-10, batch 64, AdamW: our engine, plain NumPy, torch, tinygrad and micrograd.

Plain NumPy is the floor: the same arithmetic with the derivatives written out for this one network, nothing recorded.
micrograd has one Python object for each number, so its step is that of one image, times 64.
"""

import importlib.util

import numpy as np
import torch
from torch.nn import functional as F

from benchmarks import alternate, steps_with
from groundup import engine
from groundup.engine import nn, optim
from groundup.engine.functional import cross_entropy

BATCH, D_IN, D_HIDDEN, CLASSES = 64, 784, 128, 10
RATE, BETAS, EPS, DECAY = 1e-3, (0.9, 0.999), 1e-8, 0.01
STEPS, ROUNDS = 100, 9


def data():
    generator = np.random.default_rng(0)
    images = generator.random((BATCH, D_IN), dtype=np.float32)
    return images, generator.integers(0, CLASSES, BATCH)


def weights():
    """Return W1 [H, I], b1 [H], W2 [C, H], b2 [C]: the same for everyone."""
    generator = np.random.default_rng(1)
    shapes = [(D_HIDDEN, D_IN), (D_HIDDEN,), (CLASSES, D_HIDDEN), (CLASSES,)]
    return [(generator.standard_normal(shape) * 0.03).astype(np.float32) for shape in shapes]


def plain(images, labels):
    """Return a step in NumPy alone."""
    parameters = weights()
    moments = [(np.zeros_like(p), np.zeros_like(p)) for p in parameters]
    rows, done = np.arange(BATCH), [0]

    def step():
        w1, b1, w2, b2 = parameters
        hidden = images @ w1.T + b1
        active = np.maximum(hidden, 0)
        logits = active @ w2.T + b2
        shifted = logits - logits.max(axis=1, keepdims=True)
        exps = np.exp(shifted)
        sums = exps.sum(axis=1, keepdims=True)
        loss = (np.log(sums[:, 0]) - shifted[rows, labels]).mean()
        d_logits = exps / sums
        d_logits[rows, labels] -= 1
        d_logits /= BATCH
        d_hidden = (d_logits @ w2) * (hidden > 0)
        gradients = d_hidden.T @ images, d_hidden.sum(0), d_logits.T @ active, d_logits.sum(0)
        done[0] += 1
        corrections = 1 - BETAS[0] ** done[0], 1 - BETAS[1] ** done[0]
        for p, g, (m, v) in zip(parameters, gradients, moments, strict=True):
            p *= 1 - RATE * DECAY
            m *= BETAS[0]
            m += (1 - BETAS[0]) * g
            v *= BETAS[1]
            v += (1 - BETAS[1]) * (g * g)
            p -= (RATE / corrections[0]) * m / (np.sqrt(v / corrections[1]) + EPS)
        return float(loss)

    return step


def ours(images, labels):
    """Return a step on the engine."""
    model = nn.Sequential(nn.Linear(D_IN, D_HIDDEN), nn.ReLU(), nn.Linear(D_HIDDEN, CLASSES))
    model.load_state_dict(dict(zip(model.state_dict(), map(engine.tensor, weights()), strict=True)))
    optimizer = optim.AdamW(model.parameters(), lr=RATE, betas=BETAS, eps=EPS, weight_decay=DECAY)
    x, y = engine.tensor(images), engine.tensor(labels)

    def step():
        loss = cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss.item()

    return step


def with_torch(images, labels):
    """Return a step in torch, eager, with its default AdamW (many parameters in one call)."""
    model = torch.nn.Sequential(torch.nn.Linear(D_IN, D_HIDDEN), torch.nn.ReLU(), torch.nn.Linear(D_HIDDEN, CLASSES))
    model.load_state_dict(dict(zip(model.state_dict(), map(torch.from_numpy, weights()), strict=True)))
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, betas=BETAS, eps=EPS, weight_decay=DECAY)
    x, y = torch.from_numpy(images), torch.from_numpy(labels)

    def step():
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss.item()

    return step


def with_tinygrad(images, labels):
    """Return a step in tinygrad, compiled once (TinyJit); None where it is not installed or finds no compiler."""
    if importlib.util.find_spec("tinygrad") is None:
        return None
    from tinygrad import Context, Tensor, TinyJit
    from tinygrad.nn.optim import AdamW

    try:
        w1, b1, w2, b2 = (Tensor(array).realize() for array in weights())
        optimizer = AdamW([w1, b1, w2, b2], lr=RATE, b1=BETAS[0], b2=BETAS[1], eps=EPS, weight_decay=DECAY)
        x, y = Tensor(images).realize(), Tensor(labels.astype(np.int32)).realize()
    except (RuntimeError, TypeError) as error:  # no compiler, or another version's interface
        print(f"tinygrad is left out: {error}")
        return None

    @TinyJit
    def compiled():
        optimizer.zero_grad()
        loss = x.linear(w1.T, b1).relu().linear(w2.T, b2).sparse_categorical_crossentropy(y)
        loss.backward()
        return loss.realize(*optimizer.schedule_step())

    def step():
        with Context(TRAINING=1):
            return float(compiled().item())

    return step


def with_micrograd(images, labels):
    """Return a step of one image in micrograd, squared error, gradient descent; None where it is not installed."""
    if importlib.util.find_spec("micrograd") is None:
        return None
    from micrograd.nn import MLP

    model = MLP(D_IN, [D_HIDDEN, CLASSES])

    def step():
        scores = model(images[0].tolist())
        loss = sum((score - float(i == labels[0])) ** 2 for i, score in enumerate(scores))
        model.zero_grad()
        loss.backward()
        for p in model.parameters():
            p.data -= RATE * p.grad
        return loss.data

    return step


def run(tiny):
    images, labels = data()
    n_steps, rounds = (2, 1) if tiny else (STEPS, ROUNDS)
    makers = {"plain NumPy": plain, "groundup engine": ours, "torch, eager": with_torch, "tinygrad": with_tinygrad}
    before = torch.get_num_threads()
    times, first = {}, {}
    for threads in (1, 2):
        steps = {name: step for name, make in makers.items() if (step := make(images, labels)) is not None}
        first |= {name: step() for name, step in steps.items()}
        contenders = {name: steps_with(step, threads, n_steps) for name, step in steps.items()}
        alternate(contenders, 1)  # caches, compilation
        times |= {(threads, name): found for name, found in alternate(contenders, rounds).items()}
    if (slow := with_micrograd(images, labels)) is not None and not tiny:
        times[1, "micrograd, one image, times 64"] = alternate({"": steps_with(slow, 1, 1)}, 3)[""]
    torch.set_num_threads(before)
    rows = []
    for (threads, name), found in times.items():
        scale = BATCH if "micrograd" in name else 1 / n_steps
        milliseconds = [1e3 * wall * scale for wall in found.wall]
        taken = found.median * scale * n_steps
        rows.append({"threads": threads, "who": name, "ms a step": f"{1e3 * taken / n_steps:.3f}",
                     "fastest – slowest": f"{min(milliseconds):.3f} – {max(milliseconds):.3f}",
                     "time / plain NumPy": f"{taken / times[threads, 'plain NumPy'].median:.2f}",
                     "time / torch": f"{taken / times[threads, 'torch, eager'].median:.2f}",
                     "first loss": f"{first[name]:.6f}" if name in first else "–"})  # fmt: skip
    what = (f"MLP {D_IN}-{D_HIDDEN}-{CLASSES}, batch {BATCH}, forward, backward and AdamW; {rounds} turns of {n_steps} "
            "steps each, taking turns. First loss: of the same weights on the same batch.")  # fmt: skip
    return {"what": what, "rows": rows}
