"""Every operation of the engine beside its counterpart in torch, and how far the two are apart."""

import copy
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor as TorchTensor
from torch.nn import functional as F

from groundup.engine import gradcheck
from groundup.engine.autograd import apply
from groundup.engine.ops import (
    activation,
    attention,
    comparison,
    convolution,
    cross_entropy,
    dropout,
    elementwise,
    extremes,
    indexing,
    joining,
    linear,
    losses,
    matmul,
    movement,
    normalization,
    pooling,
    reduction,
    softmax,
)
from groundup.engine.ops.rules import Array, Operation
from groundup.engine.tensor import Tensor
from groundup.proofs import engine_draws as draws
from groundup.proofs.compare import largest
from groundup.proofs.engine_cases import Case, Choices


@dataclass(frozen=True)
class Row:
    """An operation, and what it is held against."""

    op: Operation
    """Ours: arrays by position, settings by name."""
    theirs: Callable[..., TorchTensor]
    """torch's: tensors by position, the same settings by name."""
    draw: draws.Draw
    """Makes inputs and settings."""

    @property
    def name(self) -> str:
        """Return the operation's module and name."""
        return f"{self.op.__module__.rsplit('.', 1)[1]}.{self.op.__name__}"

    @property
    def is_differentiable(self) -> bool:
        """Return whether gradients flow through the operation."""
        case = next(iter(drawn(self, 1)))
        return any(self.op(*case.inputs, **copy.deepcopy(case.settings))[1])


def torch_difference(row: Row, case: Case, dtype: type[np.floating[Any]]) -> float:
    """Return the largest difference of outputs and gradients, divided by what they are where that is above 1.

    Both are differentiated along one random direction. Infinity if a shape or an element type is another, if one of the
    two has a gradient and the other none, or if one is NaN where the other is not.
    """
    inputs = [x.astype(dtype, order="K", copy=False) for x in case.inputs]
    y, rules = row.op(*inputs, **copy.deepcopy(case.settings))
    tensors = [torch.from_numpy(np.array(x)).requires_grad_() for x in inputs]
    expected = row.theirs(*tensors, **{name: _for_torch(value) for name, value in copy.deepcopy(case.settings).items()})
    differences = [_apart(y, expected.detach().numpy())]
    if y.shape != expected.shape or any(rules) != expected.requires_grad:
        return math.inf
    if not expected.requires_grad:
        return differences[0]
    # As a view that repeats one number, as many gradients do in a backward pass; or each number another.
    direction = np.random.default_rng(0).standard_normal(y.shape if y.size % 3 else ()).astype(y.dtype)
    dy = np.broadcast_to(direction, y.shape)
    gradients = torch.autograd.grad(expected, tensors, torch.from_numpy(np.array(dy)), allow_unused=True)
    for x, rule, gradient in zip(inputs, rules, gradients, strict=True):
        if rule is not None:
            differences.append(_apart(rule(dy), np.zeros_like(x) if gradient is None else gradient.numpy()))
        elif gradient is not None:
            differences.append(math.inf)
    return largest(differences)


def _for_torch(value: Any) -> Any:  # noqa: ANN401 - settings have many types
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value.copy())
    return tuple(map(_for_torch, value)) if isinstance(value, tuple) else value


def _apart(ours: Array, theirs: Array) -> float:
    if ours.shape != theirs.shape or ours.dtype != theirs.dtype:
        return math.inf
    with np.errstate(invalid="ignore"):
        differences = np.abs(np.subtract(ours, theirs, dtype=np.float64)) / np.maximum(1, np.abs(theirs))
    same = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))  # infinities too
    return largest([0.0, *np.where(same, 0.0, differences).ravel().tolist()])


def law_difference(row: Row, case: Case) -> float:
    """Return how far backward is from central differences, or from the adjoint identity, whichever is further.

    For differentiable operations.
    """

    def function(*tensors: Tensor) -> Tensor:
        return apply(row.op, *tensors, **copy.deepcopy(case.settings))

    inputs = [Tensor(x, requires_grad=True) for x in case.inputs]
    return largest([gradcheck.largest_error(function, inputs), gradcheck.adjoint_gap(function, inputs)])


def drawn(row: Row, n: int) -> Iterable[Case]:
    """Yield n cases, the same each time."""
    generator = np.random.default_rng(0)
    choices = Choices(lambda low, high: int(generator.integers(low, high + 1)))
    return (row.draw(choices) for _ in range(n))


def largest_torch_difference(rows: Iterable[Row], dtype: type[np.floating[Any]] = np.float64, n: int = 20) -> float:
    """Return the largest difference to torch over some operations, n drawn cases each."""
    return largest(torch_difference(row, case, dtype) for row in rows for case in drawn(row, n))


def largest_law_difference(rows: Iterable[Row], n: int = 20) -> float:
    """Return the largest difference to the laws over some operations, n drawn cases each."""
    return largest(law_difference(row, case) for row in rows if row.is_differentiable for case in drawn(row, n))


KEEP = (False, True)


def _all_dims(theirs: Callable[..., TorchTensor]) -> Callable[..., TorchTensor]:
    """Return `theirs` with all dimensions named where ours says None."""
    return lambda a, dim, **settings: theirs(a, dim=tuple(range(a.ndim)) if dim is None else dim, **settings)


def _prod(a: TorchTensor, dim: int | tuple[int, ...] | None, keepdim: bool) -> TorchTensor:
    dims = range(a.ndim) if dim is None else (dim,) if isinstance(dim, int) else dim
    for d in sorted((d % a.ndim for d in dims), reverse=True):
        a = a.prod(d, keepdim=keepdim)
    return a


def _dropout(x: TorchTensor, p: float, generator: np.random.Generator) -> TorchTensor:
    stays = torch.from_numpy(np.asarray(generator.random(tuple(x.shape), dtype=np.float32) >= p))
    return x * stays / (1 - p) if p < 1 else x * 0  # torch draws other numbers from its own generators


def _attention(q: TorchTensor, k: TorchTensor, v: TorchTensor, mask: TorchTensor | None) -> TorchTensor:
    k, v = (x.repeat_interleave(q.shape[1] // x.shape[1], 1) for x in (k, v))
    scores = q @ k.mT / math.sqrt(q.shape[-1])
    if mask is None:
        return scores.softmax(-1) @ v
    weights = scores.masked_fill(~mask, -math.inf).softmax(-1)
    return weights.masked_fill(~mask, 0.0) @ v  # a row that sees nothing would be NaN


def _norm(theirs: Callable[..., TorchTensor]) -> Callable[..., TorchTensor]:
    return lambda x, *parameters, n_dims, eps: theirs(x, x.shape[x.ndim - n_dims :], *parameters, eps=eps)


TABLE = (
    Row(elementwise.add, torch.add, draws.two),
    Row(elementwise.subtract, torch.sub, draws.two),
    Row(elementwise.multiply, torch.mul, draws.two),
    Row(elementwise.divide, torch.div, draws.two_with(0.5, 2.5, of=1)),
    Row(elementwise.power, torch.pow, draws.two_with(0.5, 2.5, of=0)),
    Row(elementwise.remainder, torch.remainder, draws.between_jumps),
    Row(
        elementwise.floor_divide,
        lambda a, b: torch.floor_divide(a.detach(), b.detach()),
        draws.between_jumps,
    ),
    Row(elementwise.negative, torch.neg, draws.one()),
    Row(elementwise.absolute, torch.abs, draws.one()),
    Row(elementwise.exp, torch.exp, draws.one()),
    Row(elementwise.log, torch.log, draws.one(0.5, 2.5)),
    Row(elementwise.sqrt, torch.sqrt, draws.one(0.5, 2.5)),
    Row(elementwise.sin, torch.sin, draws.one()),
    Row(elementwise.cos, torch.cos, draws.one()),
    Row(elementwise.tanh, torch.tanh, draws.one()),
    Row(elementwise.maximum, torch.maximum, draws.two),
    Row(elementwise.minimum, torch.minimum, draws.two),
    Row(
        elementwise.clamp,
        lambda a, low, high: a.clamp(low, high),
        draws.with_settings(0, lambda c, _: c.one(({"low": -1.0, "high": 0.7}, {"low": None, "high": 0.5}))),
    ),
    Row(elementwise.copy, torch.clone, draws.one()),
    Row(
        elementwise.cast,
        lambda a, dtype: a.double(),
        draws.with_settings(0, lambda *_: {"dtype": np.dtype(np.float64)}),
    ),
    Row(comparison.equal, torch.eq, draws.whole(2)),
    Row(comparison.not_equal, torch.ne, draws.whole(2)),
    Row(comparison.less, torch.lt, draws.whole(2)),
    Row(comparison.less_equal, torch.le, draws.whole(2)),
    Row(comparison.greater, torch.gt, draws.whole(2)),
    Row(comparison.greater_equal, torch.ge, draws.whole(2)),
    Row(comparison.isnan, torch.isnan, draws.unusual),
    Row(comparison.isfinite, torch.isfinite, draws.unusual),
    Row(comparison.logical_not, torch.logical_not, draws.whole(1)),
    Row(comparison.logical_and, torch.logical_and, draws.whole(2)),
    Row(comparison.logical_or, torch.logical_or, draws.whole(2)),
    Row(comparison.some, _all_dims(torch.any), draws.reduced(0, keepdim=KEEP)),
    Row(comparison.every, _all_dims(torch.all), draws.reduced(0, keepdim=KEEP)),
    Row(reduction.sum, torch.sum, draws.reduced(0, keepdim=KEEP)),
    Row(reduction.mean, torch.mean, draws.reduced(1, keepdim=KEEP)),
    Row(reduction.var, torch.var, draws.reduced(2, correction=(1, 0), keepdim=KEEP)),
    Row(reduction.std, torch.std, draws.reduced(2, correction=(1, 0), keepdim=KEEP)),
    Row(reduction.prod, _prod, draws.reduced(0, keepdim=KEEP)),
    Row(reduction.cumsum, torch.cumsum, draws.along),
    Row(reduction.logsumexp, _all_dims(torch.logsumexp), draws.reduced(1, keepdim=KEEP)),
    Row(extremes.amax, _all_dims(torch.amax), draws.reduced(1, keepdim=KEEP)),
    Row(extremes.amin, _all_dims(torch.amin), draws.reduced(1, keepdim=KEEP)),
    Row(extremes.argmax, torch.argmax, draws.reduced(1, one_dim=True, keepdim=KEEP)),
    Row(extremes.argmin, torch.argmin, draws.reduced(1, one_dim=True, keepdim=KEEP)),
    Row(extremes.argsort, lambda a, dim: torch.argsort(a, dim=dim, stable=True), draws.along),
    Row(matmul.matmul, torch.matmul, draws.matmul),
    Row(linear.linear, F.linear, draws.linear),
    Row(movement.reshape, torch.reshape, draws.reshape),
    Row(movement.view, lambda a, shape: a.view(shape), draws.view),
    Row(movement.permute, torch.permute, draws.with_settings(0, lambda c, s: {"dims": c.order(len(s))})),
    Row(
        movement.transpose,
        torch.transpose,
        draws.with_settings(1, lambda c, s: {"dim0": c.dim(len(s)), "dim1": c.dim(len(s))}),
    ),
    Row(movement.expand, lambda a, shape: a.expand(shape), draws.expand),
    Row(
        movement.squeeze,
        lambda a, dim: a.squeeze() if dim is None else a.squeeze(dim),
        draws.with_settings(0, lambda c, s: {"dim": c.dims(len(s))}),
    ),
    Row(movement.unsqueeze, torch.unsqueeze, draws.with_settings(0, lambda c, s: {"dim": c.dim(len(s) + 1)})),
    Row(movement.pad, F.pad, draws.pad),
    Row(
        movement.flip,
        lambda a, dims: a.flip(dims),
        draws.with_settings(1, lambda c, s: {"dims": c.dims(len(s)) or 0}),
    ),
    Row(indexing.index, lambda a, key: a[key], draws.index),
    Row(indexing.gather, torch.gather, draws.gather),
    Row(indexing.embedding, lambda weight, ids: F.embedding(ids, weight), draws.embedding),
    Row(indexing.where, lambda a, b, condition: torch.where(condition, a, b), draws.where),
    Row(indexing.masked_fill, torch.masked_fill, draws.masked_fill),
    Row(joining.concatenate, lambda *arrays, dim: torch.cat(arrays, dim), draws.concatenate),
    Row(joining.stack, lambda *arrays, dim: torch.stack(arrays, dim), draws.stack),
    Row(convolution.conv2d, F.conv2d, draws.conv2d),
    Row(pooling.max_pool2d, F.max_pool2d, draws.pool2d),
    Row(pooling.avg_pool2d, F.avg_pool2d, draws.pool2d),
    Row(dropout.dropout, _dropout, draws.dropout),
    Row(activation.relu, F.relu, draws.one()),
    Row(activation.sigmoid, torch.sigmoid, draws.one(-9.0, 9.0)),
    Row(activation.silu, F.silu, draws.one(-9.0, 9.0)),
    Row(activation.gelu, F.gelu, draws.one(-9.0, 9.0)),
    Row(activation.gelu_tanh, lambda x: F.gelu(x, approximate="tanh"), draws.one(-9.0, 9.0)),
    Row(softmax.softmax, torch.softmax, draws.along),
    Row(softmax.log_softmax, torch.log_softmax, draws.along),
    Row(normalization.layer_norm, _norm(F.layer_norm), draws.normalization(2)),
    Row(normalization.rms_norm, _norm(F.rms_norm), draws.normalization(1)),
    Row(attention.attention, _attention, draws.attention),
    Row(losses.mse_loss, F.mse_loss, draws.loss),
    Row(losses.binary_cross_entropy_with_logits, F.binary_cross_entropy_with_logits, draws.loss),
    Row(cross_entropy.cross_entropy, F.cross_entropy, draws.classes),
    Row(cross_entropy.nll_loss, F.nll_loss, draws.classes),
)
"""One row for each operation; a test holds that none is missing."""
