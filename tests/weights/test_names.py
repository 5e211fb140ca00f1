"""Names, shapes and layouts of published tensors are those that `transformers` builds."""

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from groundup.configs.model import GPT2_PRESETS, PRESETS, GPTConfig
from groundup.models.gpt import GPT
from groundup.weights.families import read_config, write_config
from groundup.weights.names import HEAD, from_ours, is_needless, name_in_family, stored_tensors, to_ours

SIZES = {"vocab_size": 97, "context_length": 64, "d_model": 48, "n_layers": 2, "n_heads": 4}
ROTARY = {"position": "rotary", "norm": "rms", "activation": "swiglu", "n_kv_heads": 2, "d_ff": 80}
SMALL = {
    "gpt2": GPTConfig(**SIZES),
    "gpt2, untied": GPTConfig(**SIZES, tie_embeddings=False),
    "llama": GPTConfig(**SIZES, **ROTARY, bias=False),
    "llama, biases": GPTConfig(**SIZES, **ROTARY, tie_embeddings=False),
    "qwen2": GPTConfig(**SIZES, **ROTARY, bias=False, qkv_bias=True),
    "qwen3": GPTConfig(**SIZES, **ROTARY, bias=False, qk_norm=True),
}
COUNTS = {"gpt2": 124_439_808, "gpt2-medium": 354_823_168, "gpt2-large": 774_030_080, "gpt2-xl": 1_557_611_200}


def on_meta(config: GPTConfig):
    """The model that transformers builds from what we write, without memory."""
    written = write_config(config)
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(AutoConfig.for_model(written.pop("model_type"), **written))


def stored(config: GPTConfig):
    return list(stored_tensors(read_config(write_config(config), source="here").family, config))


@pytest.mark.parametrize("config", [*SMALL.values(), *PRESETS.values()], ids=[*SMALL, *PRESETS])
def test_names_and_shapes_are_transformers(config: GPTConfig):
    expected = {name: tuple(tensor.shape) for name, tensor in on_meta(config).state_dict().items()}
    if config.tie_embeddings:
        assert expected.pop(HEAD) == (config.vocab_size, config.d_model)
    assert {one.name: one.shape for one in stored(config)} == expected


@pytest.mark.parametrize("name", COUNTS)
def test_the_four_published_sizes_have_the_published_counts(name: str):
    theirs = on_meta(GPT2_PRESETS[name])
    with torch.device("meta"):
        ours = GPT(GPT2_PRESETS[name])
    assert ours.n_parameters() == theirs.num_parameters() == COUNTS[name]


@pytest.mark.parametrize("config", SMALL.values(), ids=SMALL)
def test_there_and_back_is_the_same_model(config: GPTConfig):
    parameters = {name: torch.randn_like(tensor) for name, tensor in GPT(config).named_parameters()}
    back: dict[str, torch.Tensor] = {}
    for one in stored(config):
        tensor = from_ours(one, parameters)
        assert tuple(tensor.shape) == one.shape
        back |= to_ours(one, tensor)
    assert back.keys() == parameters.keys()
    assert all(torch.equal(back[name], tensor) for name, tensor in parameters.items())
    assert all(tensor.is_contiguous() for tensor in back.values())


def test_a_part_keeps_no_more_memory_than_its_own():
    whole = next(one for one in stored(SMALL["gpt2"]) if len(one.ours) == 3)
    for _, part in to_ours(whole, torch.ones(whole.shape)):
        assert part.untyped_storage().nbytes() == 4 * part.numel()


def test_names_of_a_bare_model_and_computed_tables_are_known():
    assert name_in_family("h.0.ln_1.weight", "gpt2") == "transformer.h.0.ln_1.weight"
    assert name_in_family("layers.0.mlp.up_proj.weight", "qwen2") == "model.layers.0.mlp.up_proj.weight"
    assert is_needless("transformer.h.0.attn.bias", SMALL["gpt2"])
    assert is_needless("model.layers.0.self_attn.rotary_emb.inv_freq", SMALL["llama"])
    assert is_needless(HEAD, SMALL["gpt2"])
    assert not is_needless(HEAD, SMALL["gpt2, untied"])
    assert not is_needless("transformer.h.0.attn.c_attn.bias", SMALL["gpt2"])


def test_a_config_that_lies_about_its_layers_costs_nothing():
    config = GPTConfig(**{**SIZES, "n_layers": 10**15})
    assert next(iter(stored_tensors("gpt2", config))).name == "transformer.wte.weight"
