"""Embedding: a learned row for each id."""

from typing import Any

from groundup.engine import creation, functional
from groundup.engine.autograd import no_grad
from groundup.engine.dtypes import float32
from groundup.engine.nn import init
from groundup.engine.nn.module import Module
from groundup.engine.nn.parameter import Parameter
from groundup.engine.tensor import Tensor


class Embedding(Module):
    """Look ids up in a table: int64 [...] -> [..., embedding_dim]. Rows begin normal with deviation 1.

    Args:
        num_embeddings: rows V; ids are 0 … V - 1.
        embedding_dim: numbers in a row.
        padding_idx: an id whose row begins as zeros and is not learned.
        dtype: of the table.

    Example:
        >>> Embedding(10, 4)(creation.tensor([[1, 2, 3]])).shape
        (1, 3, 4)
    """

    weight: Parameter

    def __init__(
        self, num_embeddings: int, embedding_dim: int, padding_idx: int | None = None, *, dtype: Any = float32
    ) -> None:
        super().__init__()
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise ValueError(f"Embedding: padding_idx {padding_idx} is not one of the {num_embeddings} rows")
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.padding_idx = None if padding_idx is None else padding_idx % num_embeddings
        self.weight = Parameter(creation.zeros(num_embeddings, embedding_dim, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the table anew."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            with no_grad():
                self.weight[self.padding_idx] = 0

    def forward(self, ids: Tensor) -> Tensor:
        """Return the rows that `ids` name."""
        return functional.embedding(ids, self.weight, self.padding_idx)

    def extra_repr(self) -> str:
        """Return the sizes as torch writes them."""
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"
