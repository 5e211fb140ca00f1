"""Optimizers (SGD, Adam, AdamW) and the clipping of gradients: what turns gradients into new parameters, in place.

Throughout, p is a parameter, g its gradient ∂L/∂p of the same shape, t = 1, 2, … counts the steps of that parameter,
and ← writes into the same memory. A parameter whose gradient is None is left alone, and so is its state.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from groundup.engine.ops.rules import Array
from groundup.engine.optimizer import Optimizer, blocks
from groundup.engine.tensor import Tensor


class SGD(Optimizer):
    """Gradient descent with momentum (Polyak 1964; Sutskever et al. 2013, eq. 1-4, in torch's form).

        g ← g + weight_decay · p                the gradient of L + weight_decay/2 · |p|²
        b ← momentum · b + (1 - dampening) · g  at the first step b ← g
        p ← p - lr · b                          nesterov: p ← p - lr · (g + momentum · b)

    With momentum μ a constant gradient ends in steps of lr · g / (1 - μ): the sum of 1, μ, μ², ….

    Args:
        params: parameters, or groups of them with options of their own.
        lr: learning rate.
        momentum: how much of the last step goes into this one; 0 keeps no state.
        dampening: how much of the gradient does not enter the momentum.
        weight_decay: pull towards zero, through the gradient.
        nesterov: look ahead along the momentum; needs momentum, and no dampening.

    Raises:
        ValueError: an option out of its range; see also Optimizer.

    Example:
        >>> p = Tensor([1.0], requires_grad=True)
        >>> optimizer = SGD([p], lr=0.5)
        >>> (p * p).sum().backward()
        >>> optimizer.step()  # 1 - 0.5 · 2
        >>> p.tolist()
        [0.0]
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        options = {"lr": lr, "momentum": momentum, "dampening": dampening}
        super().__init__(params, {**options, "weight_decay": weight_decay, "nesterov": nesterov})

    def _check(self, options: Mapping[str, Any]) -> None:
        super()._check(options)
        if options["nesterov"] and (options["momentum"] == 0 or options["dampening"] != 0):
            raise ValueError("SGD: nesterov needs a momentum above 0 and no dampening")

    def _update(self, p: Array, g: Array, state: dict[str, Any], group: Mapping[str, Any]) -> None:
        momentum, is_first = group["momentum"], "momentum_buffer" not in state
        if momentum and is_first:
            state["momentum_buffer"] = np.zeros_like(p)
        arrays = [p, g, state["momentum_buffer"]] if momentum else [p, g]
        for piece, gradient, *buffer in blocks(*arrays):
            step = gradient
            if group["weight_decay"]:
                step = step + group["weight_decay"] * piece
            for b in buffer:
                b *= momentum
                b += step if is_first else (1 - group["dampening"]) * step
                step = step + momentum * b if group["nesterov"] else b
            piece -= group["lr"] * step


class Adam(Optimizer):
    """Steps of about lr in every direction, whatever the gradient's size (Kingma and Ba 2015, algorithm 1).

        g ← g + weight_decay · p
        m ← β₁ m + (1 - β₁) g               running mean of gradients
        v ← β₂ v + (1 - β₂) g²              running mean of their squares
        p ← p - lr · m̂ / (√v̂ + ε)           m̂ = m / (1 - β₁ᵗ), v̂ = v / (1 - β₂ᵗ)

    Both means begin at 0. After t steps the weights of the gradients in m add up to (1 - β₁)(1 + β₁ + … + β₁ᵗ⁻¹)
    = 1 - β₁ᵗ, so m̂ is a mean with weights that sum to 1; v̂ likewise (section 3).

    Args:
        params: parameters, or groups of them with options of their own.
        lr: learning rate.
        betas: β₁ and β₂.
        eps: ε, which bounds the step where gradients vanish.
        weight_decay: pull towards zero, through the gradient: what m̂ / √v̂ makes of it depends on the gradient.

    Raises:
        ValueError: an option out of its range; see also Optimizer.

    Example:
        >>> p = Tensor([1.0, -2.0], requires_grad=True)
        >>> optimizer = Adam([p], lr=0.5)
        >>> p.grad = Tensor([0.01, -30.0])
        >>> optimizer.step()  # the first step is lr · g / |g|
        >>> [round(number, 4) for number in p.tolist()]
        [0.5, -1.5]
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    def _update(self, p: Array, g: Array, state: dict[str, Any], group: Mapping[str, Any]) -> None:
        if group["weight_decay"]:
            g = g + group["weight_decay"] * p
        _adam(p, g, state, group)


class AdamW(Optimizer):
    """Adam whose weight decay does not pass through the means (Loshchilov and Hutter 2019, algorithm 2).

        p ← p · (1 - lr · weight_decay)     instead of g ← g + weight_decay · p; the rest is Adam's

    In Adam the decay of a parameter is divided by √v̂, so those with large gradients hardly decay. Here all decay alike.

    Args:
        params: parameters, or groups of them with options of their own.
        lr: learning rate.
        betas: β₁ and β₂.
        eps: ε, which bounds the step where gradients vanish.
        weight_decay: fraction of p that a step with lr = 1 takes away.

    Raises:
        ValueError: an option out of its range; see also Optimizer.

    Example:
        >>> p = Tensor([4.0], requires_grad=True)
        >>> optimizer = AdamW([p], lr=0.5, weight_decay=0.5)
        >>> p.grad = Tensor([0.0])
        >>> optimizer.step()  # the decay alone: 4 · (1 - 0.25)
        >>> p.tolist()
        [3.0]
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    def _update(self, p: Array, g: Array, state: dict[str, Any], group: Mapping[str, Any]) -> None:
        if group["weight_decay"]:
            p *= 1 - group["lr"] * group["weight_decay"]
        _adam(p, g, state, group)


def _adam(parameter: Array, gradient: Array, state: dict[str, Any], group: Mapping[str, Any]) -> None:
    """Take Adam's step. With r = √(1 - β₂ᵗ), m̂ / (√v̂ + ε) is r / (1 - β₁ᵗ) · m / (√v + rε): one division less."""
    if not state:
        state.update(step=0, exp_avg=np.zeros_like(parameter), exp_avg_sq=np.zeros_like(parameter))
    state["step"] += 1
    beta1, beta2 = group["betas"]
    root = math.sqrt(1 - beta2 ** state["step"])
    rate = group["lr"] * root / (1 - beta1 ** state["step"])
    for p, g, m, v in blocks(parameter, gradient, state["exp_avg"], state["exp_avg_sq"]):
        scratch = g * (1 - beta1)
        m *= beta1
        m += scratch
        np.multiply(g, 1 - beta2, out=scratch)
        scratch *= g
        v *= beta2
        v += scratch
        np.sqrt(v, out=scratch)
        scratch += root * group["eps"]
        np.divide(m, scratch, out=scratch)
        scratch *= rate
        p -= scratch


def clip_grad_norm_(
    parameters: Iterable[Tensor] | Tensor, max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False
) -> float:
    """Shorten all gradients by one factor if together they are longer than `max_norm`; return their length before.

    The length is that of one vector of all numbers, (Σ |gᵢ|^norm_type)^(1/norm_type), or the largest |gᵢ| for inf. The
    direction stays (Pascanu et al. 2013, algorithm 1), which clipping each number alone would change.

    Args:
        parameters: whose `.grad` to change, in place; those without one are skipped.
        max_norm: the longest allowed. The factor is max_norm / (length + 1e-6), as torch's.
        norm_type: above 0, or inf.
        error_if_nonfinite: raise instead of filling the gradients with nan.

    Raises:
        ValueError: the length is nan or infinite, and `error_if_nonfinite`; a negative max_norm.

    Example:
        >>> p = Tensor([0.0, 0.0], requires_grad=True)
        >>> p.grad = Tensor([3.0, 4.0])
        >>> clip_grad_norm_([p], max_norm=1.0)
        5.0
        >>> [round(number, 4) for number in p.grad.tolist()]
        [0.6, 0.8]
    """
    if not max_norm >= 0:
        raise ValueError(f"clip_grad_norm_: max_norm must be at least 0, found {max_norm}")
    gradients = [p.grad.data for p in _listed(parameters) if p.grad is not None]
    pieces = (piece.reshape(-1) for g in gradients for (piece,) in blocks(g) if g.size)
    if norm_type == 2:
        total = math.sqrt(sum(float(np.dot(piece, piece)) for piece in pieces))
    elif norm_type == math.inf:
        total = max((float(np.abs(piece).max()) for piece in pieces), default=0.0)
    else:
        total = sum(float((np.abs(piece) ** norm_type).sum()) for piece in pieces) ** (1 / norm_type)
    if error_if_nonfinite and not math.isfinite(total):
        raise ValueError(f"clip_grad_norm_: the gradients' length is {total}; look for what overflowed in the loss")
    factor = max_norm / (total + 1e-6)
    if not factor >= 1:  # nan too
        for g in gradients:
            g *= factor
    return total


def clip_grad_value_(parameters: Iterable[Tensor] | Tensor, clip_value: float) -> None:
    """Move every number of the gradients into [-clip_value, clip_value], in place.

    Example:
        >>> p = Tensor([0.0, 0.0], requires_grad=True)
        >>> p.grad = Tensor([-3.0, 0.5])
        >>> clip_grad_value_([p], 1.0)
        >>> p.grad.tolist()
        [-1.0, 0.5]
    """
    for p in _listed(parameters):
        if p.grad is not None:
            np.clip(p.grad.data, -clip_value, clip_value, out=p.grad.data)


def _listed(parameters: Iterable[Tensor] | Tensor) -> Iterable[Tensor]:
    """Return one tensor as a list of it: its rows are no parameters."""
    return [parameters] if isinstance(parameters, Tensor) else parameters
