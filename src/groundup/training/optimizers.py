"""AdamW written out, which parameters an optimizer gets and decays, and the choice of the optimizer."""

import math
from collections.abc import Callable, Iterable
from typing import Any, Literal

import torch
from torch import nn

from groundup.configs.optimizer import OptimizerConfig
from groundup.layers.embedding import TokenEmbedding
from groundup.layers.positions import LearnedPositions
from groundup.training.learned import is_learned, rate_of
from groundup.training.muon import Muon

FUSED_DEVICES = {"cpu", "cuda", "mps"}
"""Where torch has a fused AdamW."""


class AdamW(torch.optim.Optimizer):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019, algorithm 2, lines 4-12).

    For each parameter p with gradient g, at its step t = 1, 2, …:

        p ← p · (1 - lr · weight_decay)
        m ← β₁ m + (1 - β₁) g                running mean of gradients
        v ← β₂ v + (1 - β₂) g²               running mean of squared gradients
        p ← p - lr · m̂ / (√v̂ + ε)            m̂ = m / (1 - β₁ᵗ), v̂ = v / (1 - β₂ᵗ): both means began at 0

    States and param groups are named as torch.optim.AdamW names them, so either loads the other's state_dict. It
    has no amsgrad, no maximize and no sparse gradients.

    Args:
        params: parameters, or groups of them with options of their own.
        lr: learning rate.
        betas: β₁ and β₂.
        eps: ε.
        weight_decay: fraction of p that lr = 1 would take away at a step.

    Example:
        >>> p = nn.Parameter(torch.tensor([1.0, -2.0]))
        >>> optimizer = AdamW([p], lr=0.1, weight_decay=0.0)
        >>> p.grad = torch.tensor([0.5, -30.0])
        >>> optimizer.step()  # the first step has size lr, whatever the size of the gradient
        >>> p.detach()
        tensor([ 0.9000, -1.9000])
    """

    def __init__(
        self,
        params: Iterable[Any],
        *,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Update every parameter that has a gradient.

        Args:
            closure: computes the loss anew and returns it. The training loop needs none.

        Returns:
            What the closure returned.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    _update(parameter, parameter.grad, self.state[parameter], group)
        return loss


def _update(p: torch.Tensor, g: torch.Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
    """Apply AdamW's four lines to one parameter, in place."""
    if not state:
        state["step"] = torch.tensor(0.0)  # a tensor, as in torch's
        state["exp_avg"] = torch.zeros_like(p, memory_format=torch.preserve_format)
        state["exp_avg_sq"] = torch.zeros_like(p, memory_format=torch.preserve_format)
    state["step"] += 1
    t, m, v = int(state["step"].item()), state["exp_avg"], state["exp_avg_sq"]
    lr, (beta1, beta2) = group["lr"], group["betas"]
    p.mul_(1 - lr * group["weight_decay"])
    m.mul_(beta1).add_(g, alpha=1 - beta1)
    v.mul_(beta2).addcmul_(g, g, value=1 - beta2)
    root = v.sqrt().div_(math.sqrt(1 - beta2**t)).add_(group["eps"])  # √v̂ + ε
    p.addcdiv_(m, root, value=-lr / (1 - beta1**t))


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Split what `model` trains into a group that decays and one that does not, each in the order of names.

    Matrices decay, the token embedding among them. Biases, norms and learned positions do not: pulling a bias or the
    scale of a norm to zero limits what the model can express, not how much it memorizes. A tied parameter comes once;
    frozen ones, and groups without any, are left out. Parameters with a rate of their own (`learned.set_rate`) are in
    groups of their own, whose "lr_scale" it is.

    Example:
        >>> model = nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2))
        >>> for group in parameter_groups(model, 0.1):
        ...     print(group["weight_decay"], [list(p.shape) for p in group["params"]])
        0.1 [[2, 3]]
        0.0 [[2], [2], [2]]
    """
    positions = {
        id(p) for module in model.modules() if isinstance(module, LearnedPositions) for p in module.parameters()
    }
    trained = [p for _, p in sorted(model.named_parameters()) if is_learned(p)]  # named_parameters drops duplicates
    decayed = {id(p) for p in trained if p.ndim >= 2 and id(p) not in positions}
    groups: list[dict[str, Any]] = []
    for rate in sorted({rate_of(p) for p in trained}, reverse=True):
        alike = [p for p in trained if rate_of(p) == rate]
        own = {} if rate == 1.0 else {"lr_scale": rate}
        groups.append({"params": [p for p in alike if id(p) in decayed], "weight_decay": weight_decay, **own})
        groups.append({"params": [p for p in alike if id(p) not in decayed], "weight_decay": 0.0, **own})
    return [group for group in groups if group["params"]]


def muon_groups(model: nn.Module, config: OptimizerConfig) -> list[dict[str, Any]]:
    """Split what `model` trains into hidden matrices, for Muon, and the two groups of `parameter_groups`, for AdamW.

    A hidden matrix maps features to features: the weight of a linear layer inside a part of the model. Embeddings and
    the output projection, a linear layer of the model itself, have tokens on one side, which appear one at a time, so
    their gradients have no directions to even out (Jordan et al. 2024).

    Example:
        >>> model = nn.ModuleDict({"block": nn.ModuleList([nn.Linear(3, 2)]), "output": nn.Linear(2, 5)})
        >>> for group in muon_groups(model, OptimizerConfig(name="muon")):
        ...     print(group["orthogonal"], group["weight_decay"], [list(p.shape) for p in group["params"]])
        True 0.1 [[2, 3]]
        False 0.1 [[5, 2]]
        False 0.0 [[2], [5]]
    """
    hidden = {id(m.weight) for name, m in model.named_modules() if "." in name and isinstance(m, nn.Linear)}
    tables = {id(m.weight) for m in model.modules() if isinstance(m, (nn.Embedding, TokenEmbedding))}  # may be tied
    groups: list[dict[str, Any]] = []
    for group in parameter_groups(model, config.weight_decay):
        for orthogonal in (True, False):
            chosen = [p for p in group["params"] if (id(p) in hidden - tables) == orthogonal]
            rate = group.get("lr_scale", 1.0) * (1.0 if orthogonal else config.adamw_rate)
            groups.append(group | {"params": chosen, "orthogonal": orthogonal, "lr_scale": rate})
    return [group for group in groups if group["params"]]


def build_optimizer(
    model: nn.Module,
    config: OptimizerConfig,
    *,
    learning_rate: float,
    precision: Literal["auto", "float32", "bfloat16"] = "float32",
) -> torch.optim.Optimizer:
    """Return the optimizer of `config` over what `model` trains; call it when the model is on its device.

    Under bfloat16, Muon's products are computed in it; weights and moments stay as they are.

    Raises:
        ValueError: a model without trainable parameters.

    Example:
        >>> optimizer = build_optimizer(nn.Linear(3, 2), OptimizerConfig(), learning_rate=1e-3)
        >>> type(optimizer).__module__, optimizer.param_groups[0]["fused"]
        ('torch.optim.adamw', True)
    """
    groups = parameter_groups(model, config.weight_decay)
    betas = (config.beta1, config.beta2)
    if config.name == "adamw_by_hand":
        return AdamW(groups, lr=learning_rate, betas=betas, eps=config.epsilon)
    fused = all(p.device.type in FUSED_DEVICES for group in groups for p in group["params"])
    if config.name == "muon":
        return Muon(
            muon_groups(model, config),
            lr=learning_rate,
            momentum=config.momentum,
            betas=betas,
            eps=config.epsilon,
            fused=fused,
            precision=torch.bfloat16 if precision == "bfloat16" else torch.float32,
        )
    return torch.optim.AdamW(groups, lr=learning_rate, betas=betas, eps=config.epsilon, fused=fused)
