"""The engine at work alone: an MLP and a CNN that read digits, a GPT that learns tales; no torch in them.

Each function trains with a fixed seed and returns what was reached on examples that were not learned from.
"""

from collections.abc import Callable
from itertools import islice

import numpy as np
import numpy.typing as npt

from groundup import engine
from groundup.data import tales
from groundup.data.images import mnist_test
from groundup.data.windows import Windows
from groundup.engine import Tensor, nn, optim, schedules
from groundup.engine.functional import cross_entropy
from groundup.engine.gpt import GPT
from groundup.engine.loader import DataLoader, TensorDataset
from groundup.tokenization.characters import CharacterTokenizer

N_TRAIN = 8_500
"""Of the 10,000 images; the other 1,500 are held out."""
CONTEXT = 64
"""Characters that the GPT sees."""


def mlp() -> nn.Module:
    """Return a network with one hidden layer: 784 pixels, 128 units, 10 digits."""
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))


def cnn() -> nn.Module:
    """Return two convolutions, each followed by pooling: 28 × 28 → 14 × 14 → 7 × 7, then one linear layer."""
    return nn.Sequential(
        nn.Conv2d(1, 16, kernel_size=3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, kernel_size=3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Dropout(0.25), nn.Linear(32 * 7 * 7, 10),
    )  # fmt: skip


def digits_misread(
    build: Callable[[], nn.Module], *, epochs: int, learning_rate: float = 2e-3, batch_size: int = 64
) -> float:
    """Build a network, train it on 8,500 digits with AdamW; return the share it misreads of the 1,500 others."""
    pixels, digits = mnist_test()
    engine.manual_seed(0)
    model = build()
    images = ((pixels / 255 - 0.1307) / 0.3081).astype(np.float32)[:, None]  # [N, 1, 28, 28]; the set's mean, deviation
    order = np.random.default_rng(0).permutation(len(images))
    train, held_out = order[:N_TRAIN], order[N_TRAIN:]
    dataset = TensorDataset(engine.from_numpy(images[train]), engine.from_numpy(digits[train]))
    loader = DataLoader(dataset, batch_size=batch_size, shuffle=True, seed=0)
    optimizer = optim.AdamW(model.parameters(), lr=learning_rate)
    schedule = schedules.CosineAnnealingLR(optimizer, T_max=epochs * len(loader))
    model.train()
    for _ in range(epochs):
        for x, y in loader:
            cross_entropy(model(x), y).backward()
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
    model.eval()
    with engine.no_grad():
        read = np.concatenate(
            [
                model(engine.from_numpy(images[some])).data.argmax(1)
                for some in np.array_split(held_out, len(held_out) // 250)
            ]
        )
    return float((read != digits[held_out]).mean())


def tales_loss_of_gpt_and_bigrams(*, steps: int = 800, batch_size: int = 16) -> tuple[float, float]:
    """Train a GPT, 2 layers × 64, on tales by characters; return its loss and a bigram model's, in nats a character.

    Both are of the same 200 tales that neither has seen. The bigram model is the best there is that knows only the
    character before: counts of pairs in the training text, plus one.
    """
    train_text, held_out = ("\n\n".join(islice(tales.generate(seed, n), n)) for seed, n in ((0, 4_000), (1, 200)))
    tokenizer = CharacterTokenizer.from_text([train_text, held_out])
    train, validation = (np.array(tokenizer.encode(text)) for text in (train_text, held_out))
    engine.manual_seed(0)
    model = GPT(vocab_size=tokenizer.vocab_size, context_length=CONTEXT, d_model=64, n_layers=2, n_heads=4)
    optimizer = optim.AdamW(model.parameters(), lr=5e-3, betas=(0.9, 0.99))
    windows = Windows(train, CONTEXT, seed=0)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 5e-3 * min(1, (step + 1) / 30, (steps - step) / (0.7 * steps))
        _loss(model, *windows.batch(step, batch_size)).backward()
        optim.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    return _on_all(model, validation), _bigrams(train, validation, tokenizer.vocab_size)


def _loss(model: nn.Module, inputs: npt.NDArray[np.int64], targets: npt.NDArray[np.int64]) -> Tensor:
    logits = model(engine.from_numpy(inputs))
    return cross_entropy(logits.reshape(-1, logits.shape[-1]), engine.from_numpy(targets.reshape(-1)))


def _on_all(model: nn.Module, ids: npt.NDArray[np.int64]) -> float:
    """Return the mean loss over windows laid end to end, so that the first characters of each have little past."""
    n_windows = (len(ids) - 1) // CONTEXT
    inputs = ids[: n_windows * CONTEXT].reshape(n_windows, CONTEXT)
    targets = ids[1 : n_windows * CONTEXT + 1].reshape(n_windows, CONTEXT)
    parts = np.array_split(np.arange(n_windows), max(1, n_windows // 32))
    model.eval()
    with engine.no_grad():
        total = sum(_loss(model, inputs[part], targets[part]).item() * len(part) for part in parts)
    return float(total) / n_windows


def _bigrams(train: npt.NDArray[np.int64], validation: npt.NDArray[np.int64], vocab_size: int) -> float:
    counts = np.ones((vocab_size, vocab_size))
    np.add.at(counts, (train[:-1], train[1:]), 1)
    log_probabilities = np.log(counts / counts.sum(axis=1, keepdims=True))
    return float(-log_probabilities[validation[:-1], validation[1:]].mean())
