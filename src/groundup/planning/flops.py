"""Floating-point operations of a GPT per token, part by part, from its config alone.

A product of an [m, k] and a [k, n] matrix is counted as 2·m·n·k operations: a multiplication and an addition for each
term. Nothing but matrix products is counted (the rest is well below a hundredth of them at useful sizes). The backward
pass needs two products for each one of the forward pass, so training is three times the forward pass.

Attention is counted over all T x T pairs, as in appendix B of Chowdhery et al. 2022 (PaLM) and in torch's
FlopCounterMode, so the utilization can be compared with published figures. A causal kernel may skip nearly half of
these two products; work that is skipped, or done twice to save memory, changes the time and not the count.
"""

from dataclasses import dataclass

from groundup.configs.model import GPTConfig
from groundup.planning.parameters import vocabulary

TRAINING = 3
"""Operations of a training step as a multiple of its forward pass: forward, and two products for each backward."""


@dataclass(frozen=True, kw_only=True)
class Flops:
    """Operations of one forward pass, for each token of a full context."""

    projections: int
    """Queries, keys, values and output of every attention layer."""
    scores: int
    """QKᵀ and weights times values of every layer: what grows with the context."""
    feed_forward: int
    """Feed-forward layers."""
    head: int
    """Logits."""

    @property
    def forward(self) -> int:
        """All parts."""
        return self.projections + self.scores + self.feed_forward + self.head

    @property
    def training(self) -> int:
        """Forward and backward."""
        return TRAINING * self.forward


def count_flops(config: GPTConfig, *, context_length: int | None = None) -> Flops:
    """Count the operations per token when sequences of `context_length` (None: the config's) pass through.

    Raises:
        InputError: vocab_size is None.

    Example:
        >>> gpt2 = count_flops(GPTConfig(vocab_size=50_257))
        >>> gpt2.projections, gpt2.scores, gpt2.feed_forward, gpt2.head
        (56623104, 37748736, 113246208, 77194752)
    """
    D, T = config.d_model, config.context_length if context_length is None else context_length
    d_kv = config.d_head * config.kv_heads
    matrices = 3 if config.activation == "swiglu" else 2
    return Flops(
        projections=config.n_layers * 2 * (2 * D * D + 2 * D * d_kv),
        scores=config.n_layers * 2 * 2 * D * T,  # heads side by side are as wide as the model
        feed_forward=config.n_layers * matrices * 2 * D * config.feed_forward_width,
        head=2 * D * vocabulary(config),
    )
