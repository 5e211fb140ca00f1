"""What drawing text needs of a model: `GPT` has it, and `Conditioned`, a decoder with its sources.

Shapes: B rows, T tokens of a pass, D width, V vocabulary.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from groundup.configs.generation import CacheKind
from groundup.layers.cache import Cache


class Writer(Protocol):
    """A module that continues rows of tokens.

    Example:
        >>> from groundup.configs.model import GPTConfig
        >>> from groundup.models.gpt import GPT
        >>> writer: Writer = GPT(GPTConfig(vocab_size=10, context_length=8, d_model=16, n_layers=1, n_heads=2))
        >>> writer.new_cache(2).batch_size, writer.select_rows([1]) is writer
        (2, True)
    """

    @property
    def context_length(self) -> int:
        """Most tokens of a row that it sees at once."""

    @property
    def vocab_size(self) -> int:
        """Tokens that it knows."""

    @property
    def device(self) -> torch.device:
        """Where its weights are."""

    def hidden_states(
        self, tokens: Tensor, *, cache: Cache | None = None, mask: Tensor | None = None, only: Tensor | None = None
    ) -> Tensor:
        """Return what `project` turns into logits: int64 [B, T] -> [B, T, D], or [B, 1, D] with `only`."""

    def project(self, hidden: Tensor) -> Tensor:
        """Return the logits for hidden states: [..., D] -> [..., V]."""

    def new_cache(
        self,
        batch_size: int,
        capacity: int | None = None,
        dtype: torch.dtype | None = None,
        *,
        kind: CacheKind = "float",
    ) -> Cache:
        """Return an empty cache for `batch_size` rows."""

    def select_rows(self, places: Sequence[int]) -> "Writer":
        """Return what goes on with the rows at `places` in that order, where no cache knows them."""

    def modules(self) -> Iterator[nn.Module]:
        """Yield it and all modules in it."""

    def parameters(self) -> Iterator[nn.Parameter]:
        """Yield what it has learned."""

    def buffers(self) -> Iterator[Tensor]:
        """Yield its other tensors."""

    def eval(self) -> object:
        """Put it into evaluation mode."""
