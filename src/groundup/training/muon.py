"""Muon: momentum whose update is made orthogonal, for the matrices of hidden layers; AdamW for everything else."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the quintic aX + bXXᵀX + c(XXᵀ)²X (Jordan et al. 2024): as steep at 0 as keeps singular values near 1."""
ITERATIONS = 5
"""Newton-Schulz iterations (Jordan et al. 2024): a singular value from 0.002 of the norm upwards ends near 1."""
SMALLEST_NORM = 1e-7
"""Matrices of a smaller norm are divided by this instead, so that a gradient of zero stays zero."""


def orthogonalize(matrices: Tensor, *, precision: torch.dtype = torch.float32) -> Tensor:
    """Return the matrices with their singular values moved to about 1: [..., M, N] -> [..., M, N], same dtype.

    Five Newton-Schulz iterations of products, instead of an exact decomposition UΣVᵀ -> UVᵀ. They do not converge:
    singular values end anywhere in 0.68 … 1.2, which trains as well as 1 (Jordan et al. 2024, "Muon: An optimizer for
    hidden layers in neural networks"). Those below 0.002 of the Frobenius norm end smaller.

    Args:
        matrices: any number of matrices of one shape; they share each product, which is what makes small ones cheap.
        precision: of the products; bfloat16 is as good, and faster where the processor has it.

    Example:
        >>> turned = orthogonalize(torch.tensor([[0.0, 9.0], [-1.0, 0.0]]))
        >>> 0.6 < turned[0, 1] < 1.3 and -1.3 < turned[1, 0] < -0.6
        tensor(True)
    """
    a, b, c = COEFFICIENTS
    tall = matrices.shape[-2] > matrices.shape[-1]
    wide = matrices.mT if tall else matrices  # so that the square products below are of the smaller size
    x = wide.reshape(-1, *wide.shape[-2:])  # [B, M, N]
    # The Frobenius norm is at least the largest singular value, so none is above 1, from where the quintic diverges.
    x = (x / x.norm(dim=(-2, -1), keepdim=True).clamp(min=SMALLEST_NORM)).to(precision)
    for _ in range(ITERATIONS):
        gram = x @ x.mT  # [B, M, M]
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    x = x.reshape(wide.shape).to(matrices.dtype)
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """Muon for the groups that say `orthogonal`, torch's AdamW for the others: one optimizer, one state.

    For each matrix p [M, N] with gradient g (Jordan et al. 2024):

        m ← μ m + (1 - μ) g                       running mean of gradients
        u ← μ m + (1 - μ) g                       Nesterov's look ahead, with the new m
        p ← p · (1 - lr · weight_decay)
        p ← p - lr · 0.2 √max(M, N) · orthogonalize(u)

    The factor 0.2 √max(M, N) gives every matrix, of whatever shape, an update of root mean square of about 0.2 · lr, as
    AdamW's usually are (Liu et al. 2025, "Muon is Scalable for LLM Training", section 2.2). So the learning rate and
    the weight decay mean the same for both kinds of group. torch.optim.Muon calls it "match_rms_adamw".

    Args:
        params: groups of parameters. `orthogonal` (False unless given): whether they are matrices for Muon.
        lr: learning rate.
        momentum: μ.
        betas: β₁ and β₂ of AdamW.
        eps: ε of AdamW.
        weight_decay: fraction of p that lr = 1 would take away at a step.
        fused: use torch's fused kernel for AdamW.
        precision: of the products in `orthogonalize`.

    Raises:
        ValueError: a parameter in an orthogonal group that is not a matrix.

    Example:
        >>> p = nn.Parameter(torch.zeros(2, 2))
        >>> optimizer = Muon([{"params": [p], "orthogonal": True}], lr=1.0, weight_decay=0.0)
        >>> p.grad = torch.diag(torch.tensor([5.0, -1.0]))
        >>> optimizer.step()  # both directions move alike, by about 0.2 √2, however unlike their gradients
        >>> p.detach().diag().abs().sub(0.28).abs().max() < 0.1
        tensor(True)
    """

    def __init__(
        self,
        params: Iterable[Any],
        *,
        lr: float = 1e-3,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.95),
        eps: float = 1e-8,
        weight_decay: float = 0.1,
        fused: bool = False,
        precision: torch.dtype = torch.float32,
    ) -> None:
        # "fused" has to be the group's: load_state_dict reads it to see where the step counts must lie.
        described = {"lr": lr, "momentum": momentum, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, described | {"fused": fused, "orthogonal": False})
        self.precision = precision
        for group in self.param_groups:
            for p in group["params"]:
                if group["orthogonal"] and p.ndim != 2:
                    raise ValueError(f"only matrices can be made orthogonal, found a parameter {list(p.shape)}")

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
            parameters = [p for p in group["params"] if p.grad is not None]
            if group["orthogonal"]:
                self._step_orthogonal(parameters, group)
            elif parameters:
                self._step_adamw(parameters, group)
        return loss

    def _step_orthogonal(self, parameters: list[nn.Parameter], group: dict[str, Any]) -> None:
        for alike in _by_shape(parameters):
            updates = torch.stack([_wide(self._look_ahead(p, group["momentum"])) for p in alike])  # [B, M, N]
            for p, update in zip(alike, orthogonalize(updates, precision=self.precision), strict=True):
                p.mul_(1 - group["lr"] * group["weight_decay"])
                size = 0.2 * math.sqrt(max(p.shape))
                p.add_(update if update.shape == p.shape else update.mT, alpha=-group["lr"] * size)

    def _look_ahead(self, p: nn.Parameter, momentum: float) -> Tensor:
        assert p.grad is not None
        state = self.state[p]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(p, memory_format=torch.preserve_format)
        mean: Tensor = state["momentum_buffer"].lerp_(p.grad, 1 - momentum)
        return p.grad.lerp(mean, momentum)

    def _step_adamw(self, parameters: list[nn.Parameter], group: dict[str, Any]) -> None:
        for p in parameters:
            if not self.state[p]:
                at = p.device if group["fused"] else None
                self.state[p]["step"] = torch.zeros((), dtype=torch.float32, device=at)
                self.state[p]["exp_avg"] = torch.zeros_like(p, memory_format=torch.preserve_format)
                self.state[p]["exp_avg_sq"] = torch.zeros_like(p, memory_format=torch.preserve_format)
        states = [self.state[p] for p in parameters]
        adamw(
            list(parameters),
            [p.grad for p in parameters if p.grad is not None],
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            [state["step"] for state in states],
            fused=group["fused"],
            amsgrad=False,
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            maximize=False,
        )


def _wide(matrix: Tensor) -> Tensor:
    return matrix.mT if matrix.shape[0] > matrix.shape[1] else matrix


def _by_shape(parameters: list[nn.Parameter]) -> list[list[nn.Parameter]]:
    """Group matrices that are of one shape, or of its transpose, in order of their first: they share products."""
    groups: dict[tuple[Any, ...], list[nn.Parameter]] = {}
    for p in parameters:
        groups.setdefault((*sorted(p.shape), p.dtype, p.device), []).append(p)
    return list(groups.values())
