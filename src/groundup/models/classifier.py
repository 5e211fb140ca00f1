"""A classifier: a GPT reads a text, and a linear layer reads one vector of what it made of it.

Shapes: B batch, T tokens, D width, C labels.
"""

import math

import torch
from torch import Tensor, nn

from groundup.configs.finetune_runs import HeadConfig
from groundup.errors import InputError
from groundup.layers.dropout import Dropout
from groundup.models.gpt import GPT, INITIAL_DEVIATION


class Classifier(nn.Module):
    """Tokens in, logits of the labels out, in float32 or better.

    What of the hidden states [B, T, D], after the final norm, is read (`HeadConfig.pooling`):

        last       the state of the last real token, the only one that has seen the whole text (Radford et al. 2018,
                   section 3.3). The last block computes this position alone.
        mean       the mean over the real tokens.
        attention  their mean weighted by softmax(h · q / √D), with a learned vector q (Yang et al. 2016, equations 5
                   to 7, without the layer before). q begins at zero, so the weights begin equal: as the mean.

    The weights of the head are normal with deviation 0.02, from torch's default generator. With pooling last it has no
    bias, as those of transformers' classifiers, which can take it as theirs; else one that begins at zero.

    Args:
        gpt: what reads. Its own output matrix is not used.
        n_labels: C.
        head: pooling, and dropout before the linear layer.

    Raises:
        InputError: fewer than two labels.

    Example:
        >>> from groundup.configs.model import GPTConfig
        >>> gpt = GPT(GPTConfig(vocab_size=10, context_length=8, d_model=16, n_layers=2, n_heads=4))
        >>> classifier = Classifier(gpt, 3, HeadConfig())
        >>> tokens, is_token = torch.tensor([[1, 2, 3], [4, 0, 0]]), torch.tensor([[1, 1, 1], [1, 0, 0]]).bool()
        >>> classifier(tokens, is_token).shape
        torch.Size([2, 3])
    """

    def __init__(self, gpt: GPT, n_labels: int, head: HeadConfig) -> None:
        super().__init__()
        if n_labels < 2:
            raise InputError(f"expected at least 2 labels to tell apart, found {n_labels}: give texts of another label")
        self.gpt = gpt
        self.n_labels = n_labels
        self.pooling = head.pooling
        device = gpt.device
        D = gpt.config.d_model
        self.pooling_query = nn.Parameter(torch.zeros(D, device=device)) if head.pooling == "attention" else None
        self.dropout = Dropout(head.dropout)
        self.head = nn.Linear(D, n_labels, bias=head.pooling != "last", device=device)
        nn.init.normal_(self.head.weight, std=INITIAL_DEVIATION)
        if self.head.bias is not None:
            nn.init.zeros_(self.head.bias)

    def forward(self, tokens: Tensor, is_token: Tensor) -> Tensor:
        """Return the logits of the labels [B, C].

        Args:
            tokens: ids, int64 [B, T], padded on the right.
            is_token: which of them are real, bool [B, T]: at least one in each row, and the first ones. What stands
                where it is False changes nothing (see `data.padding.pad_rows`).

        Raises:
            InputError: more tokens than the GPT's context_length.
        """
        last = is_token.sum(dim=1) - 1 if self.pooling == "last" else None  # [B]
        hidden = self.gpt.hidden_states(tokens, only=last)  # [B, T, D], or [B, 1, D]
        with torch.autocast(hidden.device.type, enabled=False):  # sums and the few products here cost nothing
            hidden = hidden.to(torch.promote_types(hidden.dtype, torch.float32))
            pooled = hidden[:, 0] if last is not None else self._mean(hidden, is_token)  # [B, D]
            logits: Tensor = self.head(self.dropout(pooled).to(self.head.weight.dtype))
        return logits.to(pooled.dtype)

    def _mean(self, hidden: Tensor, is_token: Tensor) -> Tensor:
        """Return the (weighted) mean of the hidden states of the real tokens: [B, T, D] -> [B, D]."""
        scores = hidden.new_zeros(is_token.shape)  # [B, T]
        if self.pooling_query is not None:
            scores = hidden @ self.pooling_query.to(hidden.dtype) / math.sqrt(hidden.shape[-1])
        weights = scores.masked_fill(~is_token, -math.inf).softmax(dim=1)
        return (weights[:, None] @ hidden).squeeze(1)
