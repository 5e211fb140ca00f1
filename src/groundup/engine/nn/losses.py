"""Losses as modules: what `functional` computes, with its settings kept."""

from groundup.engine import functional
from groundup.engine.nn.module import Module
from groundup.engine.ops.losses import Reduction
from groundup.engine.tensor import Tensor


class MSELoss(Module):
    """Mean of squared differences: two tensors of one shape -> one number.

    Args:
        reduction: "mean", "sum" or "none".

    Example:
        >>> MSELoss()(Tensor([1.0, 5.0]), Tensor([1.0, 2.0])).item()
        4.5
    """

    def __init__(self, reduction: Reduction = "mean") -> None:
        super().__init__()
        self.reduction: Reduction = reduction

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss."""
        return functional.mse_loss(input, target, self.reduction)


class CrossEntropyLoss(Module):
    """Cross-entropy of class logits: [N, C] and targets [N] -> one number.

    Args:
        ignore_index: a target that does not count.
        reduction: "mean", "sum" or "none".

    Example:
        >>> round(CrossEntropyLoss()(Tensor([[0.0, 0.0]]), Tensor([1])).item(), 4)  # ln 2
        0.6931
    """

    def __init__(self, ignore_index: int = -100, reduction: Reduction = "mean") -> None:
        super().__init__()
        self.ignore_index = ignore_index
        self.reduction: Reduction = reduction

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss."""
        return functional.cross_entropy(input, target, self.ignore_index, self.reduction)


class NLLLoss(Module):
    """Cross-entropy of log-probabilities, from `log_softmax`: [N, C] and targets [N] -> one number.

    Args:
        ignore_index: a target that does not count.
        reduction: "mean", "sum" or "none".

    Example:
        >>> NLLLoss()(Tensor([[-1.0, -2.0]]), Tensor([1])).item()
        2.0
    """

    def __init__(self, ignore_index: int = -100, reduction: Reduction = "mean") -> None:
        super().__init__()
        self.ignore_index = ignore_index
        self.reduction: Reduction = reduction

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss."""
        return functional.nll_loss(input, target, self.ignore_index, self.reduction)


class BCEWithLogitsLoss(Module):
    """Cross-entropy of yes-or-no questions, from logits and targets in [0, 1] of one shape.

    Args:
        reduction: "mean", "sum" or "none".

    Example:
        >>> round(BCEWithLogitsLoss()(Tensor([0.0]), Tensor([1.0])).item(), 4)  # ln 2
        0.6931
    """

    def __init__(self, reduction: Reduction = "mean") -> None:
        super().__init__()
        self.reduction: Reduction = reduction

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss."""
        return functional.binary_cross_entropy_with_logits(input, target, self.reduction)
