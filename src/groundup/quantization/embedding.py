"""The token embedding, and with it the output matrix that is tied to it, in 8 or 4 bits.

Shapes: B batch, T positions, V vocabulary, D width, N tokens.
"""

from collections.abc import Callable
from dataclasses import fields
from typing import Self

from torch import Tensor, nn

from groundup.quantization.frozen_product import frozen_product
from groundup.quantization.int4 import Int4
from groundup.quantization.int8 import Int8
from groundup.quantization.kept import in_bytes


class QuantizedEmbedding(nn.Module):
    """`layers.embedding.TokenEmbedding` with its table [V, D] in few bits: it does not learn.

    Only the rows of the tokens that are looked up become floats. `project` lays out the whole table for each product:
    the kernels that draw text fast read it as it is (`generation.prepared`).

    Args:
        table: in 8 or 4 bits.
        factor: multiplies every vector that is looked up, as `TokenEmbedding`'s scale.

    Raises:
        IndexError: in `forward`, for a token outside 0 … V-1.

    Example:
        >>> import torch
        >>> from groundup.quantization.int8 import quantize_int8
        >>> embedding = QuantizedEmbedding(quantize_int8(torch.tensor([[1.0, -2.0], [0.0, 4.0]])))
        >>> embedding(torch.tensor([1])).tolist(), embedding.project(torch.tensor([1.0, 0.5])).tolist()[1]
        ([[0.0, 4.0]], 2.0)
    """

    def __init__(self, table: Int8 | Int4, *, factor: float = 1.0) -> None:
        super().__init__()
        self._kind = type(table)
        for field in fields(table):  # their names are those of the fields
            self.register_buffer(field.name, getattr(table, field.name))
        self.factor = factor
        self.out_features, self.in_features = table.shape

    @property
    def kept(self) -> Int8 | Int4:
        """The table."""
        return self._kind(*(getattr(self, field.name) for field in fields(self._kind)))

    @property
    def n_bytes(self) -> int:
        """Bytes that it takes."""
        return self.kept.n_bytes

    @property
    def n_quantized(self) -> int:
        """Parameters of the table that its buffers stand for."""
        return self.in_features * self.out_features

    def dequantized(self) -> Tensor:
        """Return the table, without the factor: float32 [V, D]."""
        return self.kept.dequantized()

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the vectors of `tokens`: int64 [B, T] -> [B, T, D]."""
        x = rows_of(self.kept, tokens.flatten()).dequantized().view(*tokens.shape, -1)
        return x if self.factor == 1.0 else x * self.factor

    def project(self, hidden: Tensor) -> Tensor:
        """Return the product of each hidden state with every row: [..., D] -> [..., V], the logits of a tied head."""
        return frozen_product(hidden, self.dequantized)

    def extra_repr(self) -> str:
        """Return what `print` says of the layer."""
        return f"{self.out_features}, {self.in_features}, {self._kind.__name__}"

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Move the buffers, and leave their number formats."""
        super()._apply(in_bytes(fn), recurse)  # type: ignore[no-untyped-call]
        return self


def rows_of(matrix: Int8 | Int4, rows: Tensor) -> Int8 | Int4:
    """Return some rows of a matrix in few bits, in the order of `rows`, int64 [N].

    Raises:
        IndexError: a row that is not there.

    Example:
        >>> import torch
        >>> from groundup.quantization.int8 import quantize_int8
        >>> rows_of(quantize_int8(torch.eye(3)), torch.tensor([2, 0])).dequantized().tolist()
        [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    """
    parts = (getattr(matrix, field.name) for field in fields(matrix))
    # One scale for the whole matrix is not a row's. index_select refuses negative numbers, which [] would count back.
    return type(matrix)(*(part if part is None or not part.ndim else part.index_select(0, rows) for part in parts))
