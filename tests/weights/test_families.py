"""A config.json and a GPTConfig say the same of a model, and what GPT lacks is refused by its name."""

import math
from dataclasses import replace

import pytest
from transformers import AutoConfig

from groundup.configs.model import PRESETS, GPTConfig
from groundup.errors import InputError
from groundup.weights.families import family_of, read_config, write_config

GPT2 = GPTConfig(vocab_size=97, context_length=64, d_model=48, n_layers=2, n_heads=4)
LLAMA = replace(
    GPT2, n_kv_heads=2, d_ff=80, position="rotary", norm="rms", activation="swiglu", bias=False, rotary_base=5e5
)
COVERED = {
    "gpt2": GPT2,
    "gpt2, gelu": replace(GPT2, activation="gelu", norm_epsilon=1e-6),
    "gpt2, relu": replace(GPT2, activation="relu", d_ff=20),
    "gpt2, relu squared": replace(GPT2, activation="relu_squared", tie_embeddings=False),
    "llama": LLAMA,
    "llama, untied": replace(LLAMA, tie_embeddings=False),
    "llama, biases": replace(LLAMA, bias=True),
    "qwen2": replace(LLAMA, qkv_bias=True),
    "qwen3": replace(LLAMA, qk_norm=True),
    **PRESETS,
}
GPT2_JSON = {"model_type": "gpt2", "vocab_size": 97, "n_positions": 64, "n_embd": 48, "n_layer": 2, "n_head": 4}
LLAMA_JSON = {
    "model_type": "llama", "vocab_size": 97, "max_position_embeddings": 64, "hidden_size": 48, "num_hidden_layers": 2,
    "num_attention_heads": 4, "intermediate_size": 80,
}  # fmt: skip


@pytest.mark.parametrize("config", COVERED.values(), ids=COVERED)
def test_what_is_written_reads_as_the_same_config(config: GPTConfig):
    assert read_config(write_config(config), source="here").config == config


@pytest.mark.parametrize("config", COVERED.values(), ids=COVERED)
def test_transformers_reads_the_same_numbers(config: GPTConfig):
    written = write_config(config)
    theirs = AutoConfig.for_model(written.pop("model_type"), **written)
    assert read_config(theirs.to_dict(), source="transformers").config == config


def test_a_gpt2_without_biases_is_written_as_gpt2_and_dropout_is_not_read():
    written = write_config(replace(GPT2, bias=False, dropout=0.1))
    assert written["resid_pdrop"] == 0.1
    assert read_config(written, source="here").config == GPT2


def test_both_places_of_the_rotary_base_are_read():
    assert read_config({**LLAMA_JSON, "rope_theta": 1e5}, source="v4").config.rotary_base == 1e5
    parameters = {"rope_type": "default", "rope_theta": 2e5}
    assert read_config({**LLAMA_JSON, "rope_parameters": parameters}, source="v5").config.rotary_base == 2e5
    assert read_config({**LLAMA_JSON, "rope_scaling": None}, source="none").config.rotary_base == 1e4


def test_a_window_as_long_as_the_context_hides_nothing():
    document = {**LLAMA_JSON, "model_type": "mistral", "sliding_window": 64}
    assert read_config(document, source="here").family == "mistral"
    unused = {**LLAMA_JSON, "model_type": "qwen2", "sliding_window": 8, "use_sliding_window": False}
    assert read_config(unused, source="here").config.has_qkv_bias


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"model_type": "bert"}, "expected a model_type of gpt2, llama, .* found 'bert'"),
        ({"model_type": ["gpt2"]}, r"found \['gpt2'\]"),
        ({}, "found None"),
        ({**GPT2_JSON, "architectures": ["GPT2ForSequenceClassification"]}, "found .'GPT2ForSequenceClassification'"),
        ({**GPT2_JSON, "quantization_config": {"bits": 4}}, "found quantization_config"),
        ({**GPT2_JSON, "activation_function": "quick_gelu"}, "activation_function .* found 'quick_gelu'"),
        ({**GPT2_JSON, "activation_function": ["gelu"]}, "activation_function"),
        ({**GPT2_JSON, "scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx"),
        ({**GPT2_JSON, "add_cross_attention": True}, "add_cross_attention"),
        ({**GPT2_JSON, "n_embd": None}, "expected n_embd to be a whole number from 1 in x, found 'None'"),
        ({**GPT2_JSON, "n_embd": 48.0}, "n_embd .* found '48.0'"),
        ({**GPT2_JSON, "n_embd": True}, "n_embd .* found 'True'"),
        ({**GPT2_JSON, "n_layer": -1}, "n_layer .* found '-1'"),
        ({**GPT2_JSON, "n_embd": 50}, r"d_model must be a multiple of n_heads=4, found 50 \(in x\)"),
        ({**GPT2_JSON, "n_embd": 1 << 70}, "must be below 2\\^63"),
        ({**GPT2_JSON, "layer_norm_epsilon": math.nan}, "layer_norm_epsilon .* found 'nan'"),
        ({**GPT2_JSON, "tie_word_embeddings": 1}, "tie_word_embeddings to be true or false"),
        ({**LLAMA_JSON, "hidden_act": "gelu"}, "hidden_act .* found 'gelu'"),
        ({**LLAMA_JSON, "attention_bias": True}, "attention_bias to be False as mlp_bias"),
        ({**LLAMA_JSON, "mlp_bias": True}, "attention_bias to be True as mlp_bias is in x, found .nothing"),
        ({**LLAMA_JSON, "head_dim": 16}, "expected head_dim .* = 12 in x, found 16"),
        ({**LLAMA_JSON, "model_type": "qwen3"}, "expected head_dim .* found 128"),
        ({**LLAMA_JSON, "num_key_value_heads": 3}, "n_heads must be a multiple of n_kv_heads=3"),
        ({**LLAMA_JSON, "rope_scaling": {"type": "linear", "factor": 2.0}}, "found rope_type 'linear'"),
        ({**LLAMA_JSON, "rope_parameters": {"rope_type": "llama3", "rope_theta": 1e4}}, "found rope_type 'llama3'"),
        ({**LLAMA_JSON, "rope_parameters": {"full_attention": {"rope_theta": 1e4}}}, "that all layers share"),
        ({**LLAMA_JSON, "rope_parameters": [1]}, "that all layers share"),
        ({**LLAMA_JSON, "partial_rotary_factor": 0.5}, "partial_rotary_factor"),
        ({**LLAMA_JSON, "model_type": "mistral"}, None),
        ({**LLAMA_JSON, "model_type": "mistral", "sliding_window": 16}, "found sliding_window 16"),
        ({**LLAMA_JSON, "model_type": "qwen2", "use_sliding_window": True, "sliding_window": 16}, "sliding_window 16"),
        ({**LLAMA_JSON, "model_type": "qwen2", "layer_types": ["linear_attention"]}, "found 'linear_attention'"),
    ],
)
def test_what_gpt_lacks_is_named_in_one_line(document: dict[str, object], said: str | None):
    if said is None:  # a window of 4096, transformers' default, hides nothing of 64 positions
        assert read_config(document, source="x").family == "mistral"
        return
    with pytest.raises(InputError, match=said) as caught:
        read_config(document, source="x")
    assert "\n" not in str(caught.value)
    assert " x" in str(caught.value)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (replace(GPT2, position="sinusoidal"), "found position=sinusoidal"),
        (replace(GPT2, norm_order="post"), "found norm_order=post"),
        (replace(GPT2, norm="rms"), "found norm=rms"),
        (replace(GPT2, qk_norm=True), "found qk_norm=True"),
        (replace(GPT2, activation="swiglu"), "found activation=swiglu with learned positions"),
        (replace(GPT2, n_kv_heads=2), "found n_kv_heads=2 with learned positions"),
        (replace(LLAMA, norm="layer"), "found norm=layer"),
        (replace(LLAMA, activation="relu_squared"), "found activation=relu_squared"),
        (replace(LLAMA, norm_order="post"), "found norm_order=post"),
        (replace(LLAMA, qk_norm=True, bias=True), "found bias=True, qkv_bias=True, qk_norm=True"),
        (replace(LLAMA, bias=True, qkv_bias=False), "found bias=True, qkv_bias=False, qk_norm=False"),
    ],
)
def test_what_no_family_has_is_named_in_one_line(config: GPTConfig, said: str):
    with pytest.raises(InputError, match=said) as caught:
        family_of(config)
    assert "\n" not in str(caught.value)
