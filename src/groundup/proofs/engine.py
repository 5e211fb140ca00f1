"""Proofs of engine/: operations, layers, losses, optimizers, schedules, files, batches; and what it learns alone."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import torch as safetensors_library
from torch import nn as torch_nn

from groundup import engine
from groundup.engine import nn, optim, safetensors, schedules
from groundup.engine.loader import DataLoader, TensorDataset
from groundup.engine.scalar import Value
from groundup.engine.tensor import Tensor
from groundup.errors import InputError
from groundup.proofs import engine_gpt, engine_learning
from groundup.proofs.compare import largest
from groundup.proofs.engine_operations import TABLE, largest_law_difference, largest_torch_difference
from groundup.proofs.table import MissingReferenceError, Proof

_LAYERS: tuple[tuple[Callable[[Any], Any], tuple[int, ...]], ...] = (
    (lambda room: room.Linear(6, 5), (4, 6)),
    (lambda room: room.LayerNorm(6), (4, 6)),
    (lambda room: room.RMSNorm(6, eps=1e-6), (4, 6)),
    (lambda room: room.Conv2d(3, 4, kernel_size=3, stride=2, padding=1), (2, 3, 7, 8)),
    (lambda room: room.MaxPool2d(2), (2, 3, 6, 8)),
    (lambda room: room.Sequential(room.Linear(6, 8), room.GELU(), room.Linear(8, 3), room.SiLU()), (4, 6)),
    (lambda room: room.Sequential(room.Flatten(), room.Linear(24, 5), room.Sigmoid(), room.Tanh()), (2, 3, 8)),
)


def _numbers(*shape: int, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).standard_normal(shape)


def _gap(ours: Tensor | None, theirs: torch.Tensor | None) -> float:
    if ours is None or theirs is None or ours.shape != tuple(theirs.shape):
        return float("inf")
    return float(np.abs(ours.data - theirs.detach().numpy()).max())


def _layers() -> float:
    """Return the largest difference of outputs, input gradients and parameter gradients of layers, float64."""
    gaps = []
    for make, shape in _LAYERS:
        ours, theirs = make(nn).to("float64"), make(torch_nn).double()
        ours.load_state_dict({name: p.detach().numpy() for name, p in theirs.state_dict().items()})
        x, reference = Tensor(_numbers(*shape), requires_grad=True), torch.tensor(_numbers(*shape), requires_grad=True)
        y, expected = ours(x), theirs(reference)
        direction = _numbers(*y.shape, seed=1)
        y.backward(Tensor(direction))
        torch.autograd.backward(expected, torch.from_numpy(direction))
        gaps += [_gap(y, expected), _gap(x.grad, reference.grad)]
        gradients = dict(theirs.named_parameters())
        gaps += [_gap(p.grad, gradients[name].grad) for name, p in ours.named_parameters()]
    return largest(gaps)


def _layer_norm() -> float:
    """Return how far mean and deviation of normalized rows are from 0 and 1."""
    y = nn.LayerNorm(512, eps=1e-12)(Tensor(_numbers(8, 512) * 3 + 5)).data
    return largest([float(np.abs(y.mean(-1)).max()), float(np.abs(y.std(-1) - 1).max())])


def _losses() -> float:
    """Return the largest difference of losses and their gradients, float64, with labels that are ignored."""
    gaps = []
    labels = np.array([1, 0, -100, 4, 2, -100])
    cases: tuple[tuple[Callable[[Any], Any], np.ndarray[Any, Any]], ...] = (
        (lambda room: room.CrossEntropyLoss(), labels),
        (lambda room: room.CrossEntropyLoss(reduction="sum", ignore_index=4), np.abs(labels) % 5),
        (lambda room: room.MSELoss(), _numbers(6, 5, seed=2)),
    )
    for make, target in cases:
        x, reference = Tensor(_numbers(6, 5), requires_grad=True), torch.tensor(_numbers(6, 5), requires_grad=True)
        loss, expected = make(nn)(x, Tensor(target)), make(torch_nn)(reference, torch.from_numpy(target))
        loss.backward()
        torch.autograd.backward(expected)
        gaps += [_gap(loss, expected), _gap(x.grad, reference.grad)]
    return largest(gaps)


def _optimizers() -> float:
    """Return the largest difference of weights after 100 steps, float32."""
    gaps = []
    for name, options in (
        ("SGD", {"momentum": 0.9, "weight_decay": 0.01, "nesterov": True}),
        ("Adam", {"weight_decay": 0.01}),
        ("AdamW", {"betas": (0.9, 0.95), "weight_decay": 0.1}),
    ):
        start = _numbers(20, 10).astype(np.float32)
        ours, theirs = Tensor(start.copy(), requires_grad=True), torch.nn.Parameter(torch.tensor(start))
        first = getattr(optim, name)([ours], lr=1e-2, **options)
        second = getattr(torch.optim, name)([theirs], lr=1e-2, **options)
        for step in range(100):
            gradient = _numbers(20, 10, seed=step + 1).astype(np.float32)
            ours.grad, theirs.grad = Tensor(gradient.copy()), torch.tensor(gradient)
            first.step()
            second.step()
        gaps.append(_gap(ours, theirs))
    return largest(gaps)


def _schedules() -> float:
    """Return the largest difference of a rate in 100 steps of each schedule, as a share of the first."""
    gaps = []
    for name, options in (
        ("StepLR", {"step_size": 7, "gamma": 0.9}),
        ("CosineAnnealingLR", {"T_max": 110, "eta_min": 1e-3}),
        ("LinearLR", {"start_factor": 0.1, "total_iters": 30}),
    ):
        ours = optim.SGD([Tensor([1.0], requires_grad=True)], lr=0.1)
        theirs = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.1)
        first = getattr(schedules, name)(ours, **options)
        second = getattr(torch.optim.lr_scheduler, name)(theirs, **options)
        for _ in range(100):
            theirs.step()  # before its schedule, or torch warns
            first.step()
            second.step()
            gaps.append(abs(ours.param_groups[0]["lr"] - theirs.param_groups[0]["lr"]) / 0.1)
    return largest(gaps)


def _files() -> float:
    """Return the largest difference of tensors that one library wrote and the other read."""
    numbers = {"a": _numbers(3, 4).astype(np.float32), "b": np.arange(5), "c": _numbers(2, 2)}
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = Path(folder) / "ours.safetensors", Path(folder) / "theirs.safetensors"
        safetensors.save_file({name: Tensor(array) for name, array in numbers.items()}, ours)
        safetensors_library.save_file({name: torch.from_numpy(array) for name, array in numbers.items()}, theirs)
        read_back: list[dict[str, Any]] = [safetensors.load_file(theirs), safetensors_library.load_file(ours)]
        return largest(
            float(np.abs(np.asarray(found[name].data) - array).max())
            if found.keys() == numbers.keys()
            else float("inf")
            for found in read_back
            for name, array in numbers.items()
        )


def _batches() -> float:
    """Return how many labels differ between the batches of no worker process and of two."""
    dataset = TensorDataset(engine.from_numpy(_numbers(50, 3)), engine.arange(50))

    def labels(n_workers: int) -> list[int]:
        loader = DataLoader(dataset, batch_size=8, shuffle=True, seed=3, num_workers=n_workers)
        return [label for _, batch in loader for label in batch.tolist()]

    alone, helped = labels(0), labels(2)
    if sorted(alone) != list(range(50)):
        return float("inf")
    return float(sum(a != b for a, b in zip(alone, helped, strict=True)))


def _scalar() -> float:
    """Return the largest difference of the gradients of one expression of single numbers."""

    def expression(x: Any, y: Any) -> Any:  # noqa: ANN401 - of either library
        z = x * y + x.exp() / (y**2 + 1)
        return (z.tanh() + x * z) * y - x / z

    ours, theirs = (
        [Value(0.7), Value(-1.3)],
        [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (0.7, -1.3)],
    )
    expression(*ours).backward()
    torch.autograd.backward(expression(*theirs))
    return largest(abs(mine.grad - _number(reference.grad)) for mine, reference in zip(ours, theirs, strict=True))


def _number(gradient: torch.Tensor | None) -> float:
    return float("nan") if gradient is None else gradient.item()


def _misread(build: Callable[[], nn.Module], epochs: int) -> Callable[[], float]:
    def difference() -> float:
        try:
            return engine_learning.digits_misread(build, epochs=epochs)
        except InputError as error:
            raise MissingReferenceError(str(error)) from error

    return difference


def _gpt_against_bigrams() -> float:
    gpt, bigrams = engine_learning.tales_loss_of_gpt_and_bigrams()
    return gpt / bigrams


def _proof(
    part: str, reference: str, bound: float, why: str, difference: Callable[[], float], *, is_slow: bool = False
) -> Proof:
    return Proof(
        room="engine",
        part=part,
        reference=reference,
        bound=bound,
        why=why,
        difference=difference,
        is_slow=is_slow,
    )


_ORDER = "float64: 53 bits, sums in another order"
PROOFS = (
    _proof(f"{len(TABLE)} operations: gradients", "differences, adjoint identity", 1e-6,
           "central differences: eps² and rounding / eps, near 1e-9 in float64", lambda: largest_law_difference(TABLE)),
    _proof(f"{len(TABLE)} operations: values, gradients", "torch, float64", 1e-10, _ORDER,
           lambda: largest_torch_difference(TABLE)),
    _proof("Value: an expression of single numbers", "torch.autograd", 1e-12, _ORDER, _scalar),
    _proof("layers: outputs, every gradient", "torch.nn, same weights", 1e-10, _ORDER, _layers),
    _proof("LayerNorm: mean 0, deviation 1", "its definition", 1e-6, "512 numbers, rounding", _layer_norm),
    _proof("losses: values, gradients", "torch.nn", 1e-12, _ORDER, _losses),
    _proof("SGD, Adam, AdamW, 100 steps", "torch.optim", 1e-6, "100 roundings of 6e-8, most cancel", _optimizers),
    _proof("learning rate schedules, 100 steps", "torch.optim.lr_scheduler", 1e-11,
           "torch multiplies a rate step by step", _schedules),
    _proof("safetensors written, read", "the safetensors library", 0, "the same bytes", _files),
    _proof("DataLoader: order with two workers", "with none", 0, "a function of seed and epoch", _batches),
    *engine_gpt.PROOFS,
    _proof("MLP on digits: share misread", "1,500 digits held out", 0.05, "what was asked of it: 95 % read",
           _misread(engine_learning.mlp, 8), is_slow=True),
    _proof("CNN on digits: share misread", "1,500 digits held out", 0.03, "what was asked of it: 97 % read",
           _misread(engine_learning.cnn, 6), is_slow=True),
    _proof("GPT on tales: its loss / the other's", "a bigram model, same tales", 0.6,
           "it must know more than the character before", _gpt_against_bigrams, is_slow=True),
)  # fmt: skip
