"""Operations counted from the config are those that torch counts while the model runs."""

from dataclasses import replace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from groundup.configs.model import GPTConfig
from groundup.models.gpt import GPT
from groundup.planning.flops import count_flops

SMALL = GPTConfig(vocab_size=96, context_length=16, d_model=48, n_layers=2, n_heads=4)
VARIANTS = {
    "plain": SMALL,
    "swiglu": replace(SMALL, activation="swiglu"),
    "rotary": replace(SMALL, position="rotary"),
    "untied": replace(SMALL, tie_embeddings=False),
    "narrow": replace(SMALL, d_ff=20),
}


def counted(config: GPTConfig) -> tuple[int, int]:
    """Return torch's count for two sequences: forward, and forward with backward."""
    # fused=False: products are then written out, and torch counts exactly those; of its own attention kernels it
    # counts the backward pass with one product that is done twice.
    model = GPT(config, fused=False)
    tokens = torch.zeros(2, config.context_length, dtype=torch.int64)
    with FlopCounterMode(display=False) as counter:
        logits = model(tokens)
        forward = counter.get_total_flops()
        logits.sum().backward()
    return forward, counter.get_total_flops()


@pytest.mark.parametrize("config", VARIANTS.values(), ids=VARIANTS)
def test_the_count_is_torchs(config: GPTConfig):
    n_tokens, found = 2 * config.context_length, count_flops(config)
    assert (n_tokens * found.forward, n_tokens * found.training) == counted(config)


def test_grouped_heads_cost_less_in_projections_only():
    grouped, full = count_flops(replace(SMALL, n_kv_heads=1)), count_flops(SMALL)
    assert grouped.projections < full.projections
    assert replace(grouped, projections=full.projections) == full
    forward, training = counted(replace(SMALL, n_kv_heads=1))
    assert 2 * SMALL.context_length * grouped.forward == forward
    assert 2 * SMALL.context_length * grouped.training == training


def test_it_is_about_six_per_weight_and_the_scores():
    """The rule of thumb of PaLM's appendix B, 6 N + 12 L H Q T, exact but for what is no matrix of a product."""
    config = GPTConfig(vocab_size=50_257)
    N = 12 * 12 * 768**2 + 768 * 50_257  # all weights that multiply
    assert count_flops(config).training == 6 * N + 12 * 12 * 768 * 1024


def test_only_attention_grows_with_the_context():
    short, long = count_flops(SMALL, context_length=8), count_flops(SMALL, context_length=16)
    assert long.scores == 2 * short.scores
    assert replace(long, scores=short.scores) == short
