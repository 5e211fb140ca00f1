"""What went into a layer on a text: as much of it as the methods that read a text need, never the inputs themselves.

Shapes: N rows, I inputs of the layer.
"""

import torch
from torch import Tensor

from groundup.configs.quantization import QuantizationConfig
from groundup.quantization.observers import EntropyObserver, MinMaxObserver, Observer, PercentileObserver


class InputsSeen:
    """Sums over the inputs of one layer, which several layers may share that have the same ones.

    Memory: 4 · I² bytes for methods that weigh errors by what they are multiplied by, else next to nothing.

    Args:
        n_inputs: I.
        config: which sums.
        device: where they are kept.

    Example:
        >>> seen = InputsSeen(2, QuantizationConfig(method="gptq"))
        >>> seen.see(torch.tensor([[1.0, 2.0], [0.0, -1.0]]))
        >>> seen.hessian.tolist(), seen.mean_magnitude.tolist()
        ([[1.0, 2.0], [2.0, 5.0]], [0.5, 1.5])
    """

    def __init__(self, n_inputs: int, config: QuantizationConfig, device: torch.device | str = "cpu") -> None:
        needs_hessian = config.method == "gptq" or config.activation_aware
        self.hessian = torch.zeros(n_inputs, n_inputs, device=device) if needs_hessian else None
        """Sum of x xᵀ over the rows: float32 [I, I]."""
        self.observer = _observer(config) if config.activations == "static" else None
        """Knows the range."""
        self.n_rows = 0
        """Rows seen: N."""
        self._magnitudes = torch.zeros(n_inputs, device=device)

    @property
    def mean_magnitude(self) -> Tensor:
        """Mean of |x| over the rows: [I]."""
        return self._magnitudes / max(1, self.n_rows)

    def see(self, x: Tensor) -> None:
        """Add inputs [..., I]."""
        rows = x.detach().reshape(-1, x.shape[-1]).float()  # [N, I]
        self.n_rows += len(rows)
        self._magnitudes += rows.abs().sum(0)
        if self.hessian is not None:
            self.hessian.addmm_(rows.T, rows)
        if self.observer is not None:
            self.observer.observe(rows)


def _observer(config: QuantizationConfig) -> Observer:
    if config.observer == "percentile":
        return PercentileObserver(config.percentile)
    return MinMaxObserver() if config.observer == "minmax" else EntropyObserver()
