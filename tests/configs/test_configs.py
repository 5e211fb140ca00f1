"""Configs: JSON round trips, automatic fields that never go stale, and refusals that name the field."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.configs import (
    PRESETS,
    DataConfig,
    EvaluationConfig,
    GenerationConfig,
    GPTConfig,
    OptimizerConfig,
    RunConfig,
    ScheduleConfig,
    TrainConfig,
    from_dict,
    from_json,
    preset,
    to_dict,
    to_json,
)
from groundup.errors import InputError
from groundup.recipes import RECIPES, recipe

ALL = [
    *(make() for make in RECIPES.values()),
    *PRESETS.values(),
    GenerationConfig(stop=("a", "b"), top_k=3, temperature=0.5),
    TrainConfig(evaluation=EvaluationConfig(patience=2)),
]


@pytest.mark.parametrize("config", ALL, ids=lambda config: type(config).__name__)
def test_json_round_trip(config: object):
    assert from_json(type(config), to_json(config)) == config
    assert from_dict(type(config), to_dict(config)) == config


@given(d_head=st.integers(1, 64), n_heads=st.integers(1, 16))
def test_automatic_width_follows_d_model(d_head: int, n_heads: int):
    config = GPTConfig(d_model=d_head * n_heads, n_heads=n_heads)
    assert config.feed_forward_width == 4 * config.d_model
    wider = dataclasses.replace(config, d_model=2 * config.d_model)
    assert wider.feed_forward_width == 8 * config.d_model  # a resolved field would have stayed at the old width
    gated = dataclasses.replace(config, activation="swiglu").feed_forward_width
    assert gated % 64 == 0
    assert 0 <= gated - 8 * config.d_model / 3 < 64


@pytest.mark.parametrize(
    ("cls", "fields", "found"),
    [
        (GPTConfig, {"d_model": 10, "n_heads": 3}, "multiple of n_heads=3, found 10"),
        (GPTConfig, {"n_heads": 12, "n_kv_heads": 5}, "multiple of n_kv_heads=5, found 12"),
        (GPTConfig, {"d_model": 9, "n_heads": 3, "position": "rotary"}, "even d_head"),
        (GPTConfig, {"dropout": 1.0}, "GPTConfig.dropout must be in [0, 1), found 1.0"),
        (GPTConfig, {"n_layers": 0}, "GPTConfig.n_layers must be at least 1, found 0"),
        (GPTConfig, {"context_length": 1.5}, "must be a whole number, found 1.5"),
        (GPTConfig, {"norm_epsilon": float("nan")}, "must be a finite number, found nan"),
        (TrainConfig, {"steps": 0}, "TrainConfig.steps must be at least 1"),
        (TrainConfig, {"steps": 10**400}, "TrainConfig.steps must be below 2^63, found a number of 1329 bits"),
        (TrainConfig, {"seed": 2**63}, "TrainConfig.seed must be below 2^63"),
        (TrainConfig, {"learning_rate": -1.0}, "TrainConfig.learning_rate must be above 0, found -1.0"),
        (OptimizerConfig, {"beta1": 1.0}, "OptimizerConfig.beta1"),
        (ScheduleConfig, {"final_fraction": 1.1}, "ScheduleConfig.final_fraction"),
        (EvaluationConfig, {"patience": 0}, "EvaluationConfig.patience"),
        (DataConfig, {"validation_fraction": 0.0}, "validation_fraction must be above 0"),
        (DataConfig, {"bpe_vocab_size": 256}, "at least 257"),
        (DataConfig, {"corpus": ""}, "must be named"),
        (GenerationConfig, {"temperature": 0.0}, 'greedy decoding is strategy="greedy"'),
        (GenerationConfig, {"temperature": float("inf")}, "temperature must be a finite number"),
        (GenerationConfig, {"top_k": 0}, "top_k must be at least 1"),
        (GenerationConfig, {"top_p": 0.0}, "top_p must be above 0"),
        (GenerationConfig, {"top_p": 1.01}, "top_p must be in [0, 1]"),
        (GenerationConfig, {"repetition_penalty": 0.0}, "repetition_penalty"),
        (GenerationConfig, {"stop": ("",)}, "non-empty"),
    ],
)
def test_impossible_values_are_refused_by_name(cls: type, fields: dict[str, object], found: str):
    with pytest.raises(InputError) as caught:
        cls(**fields)
    assert found in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{", "syntax error at line 1"),
        ("[]", "RunConfig must be an object"),
        ('{"modle": {}}', "RunConfig has no field 'modle': known are bands, data, model, training"),
        ('{"model": {"d_model": "wide"}}', "RunConfig.model.d_model must be of type int, found 'wide'"),
        ('{"model": {"bias": 1}}', "RunConfig.model.bias must be of type bool, found 1"),
        ('{"model": {"n_layers": true}}', "RunConfig.model.n_layers must be of type int, found True"),
        ('{"model": {"norm": "batch"}}', "RunConfig.model.norm must be one of layer, rms, found 'batch'"),
        ('{"model": {"d_model": 7}}', "multiple of n_heads=12, found 7"),
        (f'{{"training": {{"clip_norm": 1{"0" * 400}}}}}', "RunConfig.training.clip_norm must be of type float, found"),
        ("1" * 5_000, "expected JSON for RunConfig, found what cannot be read: Exceeds the limit"),
        ("[" * 100_000, "expected JSON for RunConfig, found what cannot be read: maximum recursion depth"),
    ],
)
def test_foreign_json_is_refused_by_name(text: str, found: str):
    with pytest.raises(InputError) as caught:
        from_json(RunConfig, text)
    assert found in str(caught.value)
    assert "\n" not in str(caught.value)


def test_whole_numbers_are_accepted_for_floats_only():
    assert from_json(TrainConfig, '{"learning_rate": 1}').learning_rate == 1.0
    with pytest.raises(InputError, match="of type int"):
        from_json(TrainConfig, '{"steps": 1.0}')


def test_configs_are_frozen_and_keyword_only():
    with pytest.raises(dataclasses.FrozenInstanceError):
        GPTConfig().d_model = 1  # type: ignore[misc]
    with pytest.raises(TypeError):
        GPTConfig(50_257)  # type: ignore[misc]


def test_unknown_names_list_the_known_ones():
    with pytest.raises(InputError, match="gpt2, gpt2-medium, gpt2-large, gpt2-xl"):
        preset("gpt3")
    with pytest.raises(InputError, match="shakespeare-char"):
        recipe("shakspeare")
