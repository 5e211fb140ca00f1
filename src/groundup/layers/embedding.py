"""The token embedding: a table with one learned vector for each token, looked up by hand or by torch's kernel.

Shapes: B batch, T positions, N tokens of any shape laid in a row, V vocabulary, D width.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def embedding(tokens: Tensor, weight: Tensor, *, sparse: bool = False) -> Tensor:
    """Return the row of `weight` that each token names: int64 [...] and [V, D] -> [..., D].

    It is one_hot(tokens) @ weight, without the product. So its gradient is one_hot(tokens)ᵀ @ dy, without the product
    too: each row of dy is added to the row of the table that it was taken from (scatter-add), once for every time that
    the token occurs. Rows of tokens that do not occur get zeros, in a large vocabulary nearly all of them; a sparse
    gradient leaves those out.

    The engine has the same rule on NumPy arrays (engine/ops/indexing.py), dense; this one is for torch's autograd.

    Args:
        tokens: ids, each 0 … V-1.
        weight: the table.
        sparse: the gradient is a sparse tensor of N places and N rows, a token that occurs twice being in it twice;
            else a dense one of V rows. For optimizers that take it: SGD, SparseAdam, Adagrad.

    Raises:
        IndexError: for a token outside 0 … V-1.

    Example:
        >>> weight = torch.zeros(4, 2, requires_grad=True)
        >>> embedding(torch.tensor([3, 1, 3]), weight).sum().backward()
        >>> weight.grad.tolist()
        [[0.0, 0.0], [1.0, 1.0], [0.0, 0.0], [2.0, 2.0]]
    """
    vectors: Tensor = _RowLookup.apply(tokens, weight, sparse)  # type: ignore[no-untyped-call]
    return vectors


class _RowLookup(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tokens: Tensor, weight: Tensor, sparse: bool) -> Tensor:  # noqa: ANN401 - autograd's context
        ctx.save_for_backward(tokens)  # and not the table: the gradient does not depend on what is in it
        ctx.shape, ctx.sparse = weight.shape, sparse
        rows = weight.index_select(0, tokens.reshape(-1))  # unlike weight[tokens], it refuses -1
        return rows.reshape(*tokens.shape, weight.shape[1])

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[None, Tensor, None]:  # noqa: ANN401 - autograd's context
        (tokens,) = ctx.saved_tensors
        ids, rows = tokens.reshape(-1), dy.reshape(-1, ctx.shape[1])  # [N], [N, D]
        if ctx.sparse:
            return None, torch.sparse_coo_tensor(ids[None], rows, ctx.shape, check_invariants=False), None
        return None, rows.new_zeros(ctx.shape).index_add(0, ids, rows), None


class TokenEmbedding(nn.Module):
    """Look up the row of each token in a [V, D] table: one_hot(tokens) @ weight, without the product.

    Its gradient is the same product transposed: each row collects the gradients of the places where its token stood.

    Args:
        vocab_size: rows V.
        d_model: width D.
        scale: multiplies every vector; √D in the 2017 Transformer (Vaswani et al., section 3.4).
        fused: use torch's kernel; False uses `embedding` as written above. Both give the same.
        sparse: the table's gradient is sparse, where nothing else adds a dense one (as a tied head does).

    Raises:
        IndexError: in `forward`, for a token outside 0 … V-1.

    Example:
        >>> embedding = TokenEmbedding(vocab_size=5, d_model=2)
        >>> tokens = torch.tensor([[4, 0, 4]])
        >>> torch.equal(embedding(tokens), embedding.weight[tokens])
        True
    """

    def __init__(
        self, vocab_size: int, d_model: int, *, scale: float = 1.0, fused: bool = True, sparse: bool = False
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(vocab_size, d_model))
        nn.init.normal_(self.weight, std=0.02)  # as GPT-2
        self.scale = scale
        self.fused = fused
        self.sparse = sparse

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the vectors of `tokens`: int64 [B, T] -> [B, T, D]."""
        look_up = F.embedding if self.fused else embedding
        x = look_up(tokens, self.weight, sparse=self.sparse)
        return x if self.scale == 1.0 else x * self.scale

    def project(self, hidden: Tensor) -> Tensor:
        """Return the product of each hidden state with every row: [..., D] -> [..., V], the logits of a tied head."""
        return F.linear(hidden, self.weight)
