"""Parameters counted from the config are those of the model."""

from dataclasses import replace

import pytest
import torch

from groundup.configs.model import PRESETS, GPTConfig
from groundup.errors import InputError
from groundup.models.gpt import GPT
from groundup.planning.parameters import count_parameters

SMALL = GPTConfig(vocab_size=96, context_length=16, d_model=48, n_layers=3, n_heads=4)
VARIANTS = {
    "plain": SMALL,
    "no bias": replace(SMALL, bias=False),
    "swiglu": replace(SMALL, activation="swiglu"),
    "rms": replace(SMALL, norm="rms"),
    "post": replace(SMALL, norm_order="post"),
    "rotary": replace(SMALL, position="rotary"),
    "sinusoidal": replace(SMALL, position="sinusoidal"),
    "grouped": replace(SMALL, n_kv_heads=2),
    "untied": replace(SMALL, tie_embeddings=False),
    "narrow": replace(SMALL, d_ff=20),
    "qk norm": replace(SMALL, qk_norm=True),
    "bias of queries, keys and values": replace(SMALL, n_kv_heads=2, bias=False, qkv_bias=True),
    "all but those": replace(SMALL, n_kv_heads=2, qkv_bias=False),
    "llama": replace(
        SMALL, n_kv_heads=1, position="rotary", norm="rms", activation="swiglu", bias=False, tie_embeddings=False
    ),
}


@pytest.mark.parametrize("config", [*VARIANTS.values(), *PRESETS.values()], ids=[*VARIANTS, *PRESETS])
def test_the_total_is_the_models(config: GPTConfig):
    with torch.device("meta"):
        model = GPT(config)
    assert count_parameters(config).total == model.n_parameters()


def test_each_part_is_the_sum_of_its_modules():
    model, found = GPT(VARIANTS["qk norm"]), count_parameters(VARIANTS["qk norm"])

    def count(part: str, *, norms: bool) -> int:
        return sum(p.numel() for name, p in model.named_parameters() if part in name and ("norm" in name) == norms)

    assert found.embeddings == count("embedding", norms=False)
    assert found.attention == count(".attention.", norms=False)
    assert found.feed_forward == count(".feed_forward.", norms=False)
    assert found.norms == count("norm", norms=True)


@pytest.mark.parametrize(
    ("name", "published"),
    [("smollm2-135m", 134_515_008), ("smollm2-360m", 361_821_120), ("smollm2-1.7b", 1_711_376_384)],
)
def test_smollm2_has_the_published_counts(name: str, published: int):
    assert count_parameters(PRESETS[name]).total == published


def test_without_a_vocabulary_nothing_can_be_counted():
    with pytest.raises(InputError, match="vocab_size must be set to count with, found None"):
        count_parameters(replace(SMALL, vocab_size=None))
