"""A linear layer whose weights are kept in 4 bits and do not learn.

Shapes: N rows (any leading axes), I inputs, O outputs.
"""

from collections.abc import Callable
from typing import Self

from torch import Tensor, nn

from groundup.quantization.frozen_product import frozen_product
from groundup.quantization.int4 import Int4
from groundup.quantization.kept import in_bytes, n_bytes, n_stood_for, sizes


class Int4Linear(nn.Module):
    """W x + bias, with W in 4 bits: the readable form, which lays W out in floating point for each product.

    A gradient goes to x, so that adapters can learn beside it (QLoRA, Dettmers et al. 2023), and none to W. The kernels
    that draw text fast read the same numbers: see `generation.prepared`.

    Args:
        weight: W in 4 bits, or W with its columns divided by `input_scale`.
        bias: [O].
        input_scale: what each input is multiplied by before W, as `activation_aware_scale` chooses it: [I].

    Example:
        >>> import torch
        >>> from groundup.quantization.int4 import quantize_int4
        >>> base, x = nn.Linear(64, 8), torch.ones(2, 64)
        >>> layer = Int4Linear(quantize_int4(base.weight, group_size=32), base.bias)
        >>> torch.allclose(layer(x), base(x), atol=0.3), layer.n_bytes
        (True, 352)
    """

    packed: Tensor
    scale: Tensor
    minimum: Tensor
    bias: Tensor | None
    input_scale: Tensor | None

    def __init__(self, weight: Int4, bias: Tensor | None, *, input_scale: Tensor | None = None) -> None:
        super().__init__()
        self.out_features, self.in_features = weight.shape
        self.register_buffer("packed", weight.packed)
        self.register_buffer("scale", weight.scale)
        self.register_buffer("minimum", weight.minimum)
        self.register_buffer("bias", None if bias is None else bias.detach().float())
        self.register_buffer("input_scale", None if input_scale is None else input_scale.detach().float())

    @property
    def kept(self) -> Int4:
        """W in 4 bits, without the scale of the inputs."""
        return Int4(self.packed, self.scale, self.minimum)

    @property
    def n_bytes(self) -> int:
        """Bytes that the layer takes."""
        return n_bytes(self)

    @property
    def n_quantized(self) -> int:
        """Parameters of the layer that its buffers stand for."""
        return n_stood_for(self)

    def dequantized(self) -> Tensor:
        """Return the matrix that x is multiplied by, the scale of the inputs in it: float32 [O, I]."""
        matrix = self.kept.dequantized()
        return matrix if self.input_scale is None else matrix.mul_(self.input_scale)

    def forward(self, x: Tensor) -> Tensor:
        """Return the product [..., O] for x [..., I]."""
        return frozen_product(x, self.dequantized, self.bias)

    def extra_repr(self) -> str:
        """Return what `print` says of the layer."""
        return f"{sizes(self)}, group_size={self.kept.group_size}"

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Move the buffers, and leave their number formats."""
        super()._apply(in_bytes(fn), recurse)  # type: ignore[no-untyped-call]
        return self
