"""Proofs of engine/gpt.py: the GPT by hand against the torch GPT with the same weights, small and at GPT-2's size."""

from dataclasses import asdict

import numpy as np
import torch
from torch import Tensor as TorchTensor
from torch.nn import functional as F

from groundup.configs.model import GPTConfig, preset
from groundup.engine import optim
from groundup.engine.functional import cross_entropy
from groundup.engine.gpt import GPT
from groundup.engine.tensor import Tensor
from groundup.models import gpt as torch_models
from groundup.proofs.compare import largest
from groundup.proofs.table import Proof

_SMALL = GPTConfig(vocab_size=65, context_length=32, d_model=32, n_layers=2, n_heads=4)
_LLAMA = GPTConfig(
    vocab_size=65, context_length=32, d_model=32, n_layers=2, n_heads=4, n_kv_heads=2, position="rotary", norm="rms",
    activation="swiglu", bias=False, tie_embeddings=False,
)  # fmt: skip


def _pair(config: GPTConfig, dtype: torch.dtype = torch.float32) -> tuple[GPT, torch_models.GPT]:
    """Return the engine's model and torch's, with the same random weights; biases and norms random too."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        theirs = torch_models.GPT(config).to(dtype)
        with torch.no_grad():
            for p in theirs.parameters():
                p.add_(torch.randn_like(p) * 0.02)
    ours = GPT(**asdict(config)).to(str(dtype).removeprefix("torch."))
    ours.load_state_dict({name: p.numpy() for name, p in theirs.state_dict().items()})
    if ours.rotation is not None and theirs.rotary is not None:  # float32 tables, from another library's sine
        ours.rotation.cos, ours.rotation.sin = theirs.rotary.cos.numpy(), theirs.rotary.sin.numpy()
    return ours, theirs


def _batch(config: GPTConfig, rows: int, length: int, seed: int = 0) -> tuple[TorchTensor, TorchTensor]:
    vocab = config.vocab_size or 0
    ids = torch.randint(vocab, (rows, length + 1), generator=torch.Generator().manual_seed(seed))
    return ids[:, :-1].contiguous(), ids[:, 1:].contiguous()


def _apart(ours: Tensor | None, theirs: TorchTensor | None) -> float:
    if ours is None or theirs is None or ours.shape != tuple(theirs.shape):
        return float("inf")
    return float(np.abs(ours.data - theirs.detach().numpy()).max())


def logits_and_gradients_apart(config: GPTConfig, dtype: torch.dtype, *, rows: int = 2, length: int = 32) -> float:
    """Return the largest difference of the logits, the loss and the gradients of all parameters."""
    ours, theirs = _pair(config, dtype)
    x, y = _batch(config, rows, length)
    mine, reference = ours(Tensor(x.numpy())), theirs(x)
    differences = [_apart(mine, reference)]
    loss = cross_entropy(mine.reshape(-1, mine.shape[-1]), Tensor(y.numpy().reshape(-1)))
    expected = F.cross_entropy(reference.flatten(0, 1), y.flatten())
    loss.backward()
    expected.backward()  # type: ignore[no-untyped-call]
    differences.append(abs(loss.item() - expected.item()))
    gradients = {name: p.grad for name, p in theirs.named_parameters()}
    found = {name: p.grad for name, p in ours.named_parameters()}
    differences += [_apart(found.get(name), gradients.get(name)) for name in found.keys() | gradients.keys()]
    return largest(differences)


def _training() -> float:
    """Return how far two loss curves are apart in 50 steps of AdamW with clipping: same weights, same batches."""
    ours, theirs = _pair(_SMALL)
    first, second = optim.AdamW(ours.parameters(), lr=3e-3), torch.optim.AdamW(theirs.parameters(), lr=3e-3)
    apart = []
    for step in range(50):
        starts = _batch(_SMALL, 8, 1, seed=step)[0]
        batch = (starts + torch.arange(33)) % 65  # can be learned: each row counts on from a number
        x, y = batch[:, :-1], batch[:, 1:]
        loss = cross_entropy(ours(Tensor(x.numpy())).reshape(-1, 65), Tensor(y.numpy().reshape(-1)))
        expected = F.cross_entropy(theirs(x).flatten(0, 1), y.flatten())
        apart.append(abs(loss.item() - expected.item()))
        loss.backward()
        expected.backward()  # type: ignore[no-untyped-call]
        optim.clip_grad_norm_(ours.parameters(), 1.0)
        torch.nn.utils.clip_grad_norm_(theirs.parameters(), 1.0)
        for optimizer in (first, second):
            optimizer.step()
            optimizer.zero_grad()
    return largest(apart)


def _greedy() -> float:
    """Return how many of 24 greedy tokens differ."""
    ours, theirs = _pair(_LLAMA, torch.float64)
    tokens = _batch(_LLAMA, 2, 4)[0]
    found = ours.generate(Tensor(tokens.numpy()), 24, temperature=0.0)
    with torch.no_grad():
        for _ in range(24):
            tokens = torch.cat([tokens, theirs(tokens)[:, -1].argmax(-1, keepdim=True)], dim=1)
    return float((found.data != tokens.numpy()).sum())


_ROUNDING = "float32: 24 bits, sums in another order"
PROOFS = (
    Proof(
        room="engine",
        part="GPT: logits, every gradient, float32",
        reference="the torch GPT, same weights",
        bound=1e-5,
        why=_ROUNDING,
        difference=lambda: largest(logits_and_gradients_apart(config, torch.float32) for config in (_SMALL, _LLAMA)),
    ),
    Proof(
        room="engine",
        part="GPT: logits, every gradient, float64",
        reference="the torch GPT, same weights",
        bound=1e-10,
        why="float64: 53 bits, sums in another order",
        difference=lambda: largest(logits_and_gradients_apart(config, torch.float64) for config in (_SMALL, _LLAMA)),
    ),
    Proof(
        room="engine",
        part="GPT: the loss curve of 50 steps",
        reference="the torch GPT, torch's AdamW",
        bound=1e-4,
        why="roundings of 6e-8 grow along 50 steps, each divided by a root of squared gradients",
        difference=_training,
    ),
    Proof(
        room="engine",
        part="GPT: greedy tokens (differing)",
        reference="the torch GPT, same weights",
        bound=0,
        why="the largest logit is the same",
        difference=_greedy,
    ),
    Proof(
        room="engine",
        part="GPT-2 124M: logits, every gradient",
        reference="the torch GPT, same weights",
        bound=1e-5,
        why=_ROUNDING,
        difference=lambda: logits_and_gradients_apart(preset("gpt2"), torch.float32, rows=1, length=64),
        is_slow=True,
    ),
)
