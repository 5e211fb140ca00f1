"""The token embedding: a table with one learned vector for each token.

Shapes: B batch, T positions, V vocabulary, D width.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class TokenEmbedding(nn.Module):
    """Look up the row of each token in a [V, D] table: one_hot(tokens) @ weight, without the product.

    Its gradient is the same product transposed: each row collects the gradients of the places where its token stood.

    Args:
        vocab_size: rows V.
        d_model: width D.
        scale: multiplies every vector; √D in the 2017 Transformer (Vaswani et al., section 3.4).

    Raises:
        IndexError: in `forward`, for a token outside 0 … V-1.

    Example:
        >>> embedding = TokenEmbedding(vocab_size=5, d_model=2)
        >>> tokens = torch.tensor([[4, 0, 4]])
        >>> torch.equal(embedding(tokens), embedding.weight[tokens])
        True
    """

    def __init__(self, vocab_size: int, d_model: int, *, scale: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(vocab_size, d_model))
        nn.init.normal_(self.weight, std=0.02)  # as GPT-2
        self.scale = scale

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the vectors of `tokens`: int64 [B, T] -> [B, T, D]."""
        x = F.embedding(tokens, self.weight)  # weight[tokens], with a faster gradient
        return x if self.scale == 1.0 else x * self.scale

    def project(self, hidden: Tensor) -> Tensor:
        """Return the product of each hidden state with every row: [..., D] -> [..., V], the logits of a tied head."""
        return F.linear(hidden, self.weight)
