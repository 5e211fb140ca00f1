"""Decoding options: what is refused and how, and the round trip of the fields that hold pairs and other configs."""

import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.configs import GenerationConfig, from_json, to_json
from groundup.configs.generation import BeamConfig
from groundup.errors import InputError
from groundup.generation.text_rules import logit_bias, repetition_penalty

fractions = st.none() | st.floats(0, 1, exclude_min=True)
configs = st.builds(
    GenerationConfig,
    strategy=st.sampled_from(["sample", "greedy", "beam"]),
    min_p=fractions,
    typical_p=fractions,
    no_repeat_ngram_size=st.none() | st.integers(1, 9),
    logit_bias=st.lists(st.tuples(st.integers(0, 10**6), st.floats(-1e30, 1e30)), max_size=3).map(tuple),
    banned=st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), max_size=3).map(tuple),
    beam=st.builds(
        BeamConfig,
        n_beams=st.integers(4, 9),
        n_best=st.integers(1, 4),
        length_penalty=st.floats(-100, 100),
        early_stopping=st.sampled_from(["no", "yes", "never"]),
    ),
)


@settings(max_examples=50, derandomize=True)
@given(configs)
def test_json_round_trip(config: GenerationConfig):
    assert from_json(GenerationConfig, to_json(config)) == config


def test_pairs_are_read_item_by_item():
    assert from_json(GenerationConfig, '{"logit_bias": [[5, 1], [6, -2.5]]}').logit_bias == ((5, 1.0), (6, -2.5))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"logit_bias": [[5]]}', "GenerationConfig.logit_bias[0] must be a list of 2, found [5]"),
        ('{"logit_bias": [[5, 1, 1]]}', "GenerationConfig.logit_bias[0] must be a list of 2, found [5, 1, 1]"),
        ('{"logit_bias": [5]}', "GenerationConfig.logit_bias[0] must be a list, found 5"),
        ('{"logit_bias": [[1.5, 1]]}', "GenerationConfig.logit_bias[0][0] must be of type int, found 1.5"),
        ('{"logit_bias": [[1, "a"]]}', "GenerationConfig.logit_bias[0][1] must be of type float, found 'a'"),
        ('{"banned": "word"}', "GenerationConfig.banned must be a list, found 'word'"),
        ('{"strategy": "beams"}', "GenerationConfig.strategy must be one of sample, greedy, beam, found 'beams'"),
        (
            '{"beam": {"early_stopping": true}}',
            "GenerationConfig.beam.early_stopping must be one of no, yes, never, found True",
        ),
        (
            '{"beam": {"beams": 2}}',
            "GenerationConfig.beam has no field 'beams': known are coverage_penalty, early_stop",
        ),
    ],
)
def test_foreign_json_is_refused_by_name(text: str, found: str):
    with pytest.raises(InputError) as raised:
        from_json(GenerationConfig, text)
    assert found in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"min_p": 0.0}, "GenerationConfig.min_p must be above 0, found 0.0"),
        ({"min_p": 1.01}, "GenerationConfig.min_p must be in [0, 1], found 1.01"),
        ({"typical_p": -0.5}, "GenerationConfig.typical_p must be above 0, found -0.5"),
        ({"typical_p": float("nan")}, "GenerationConfig.typical_p must be a finite number, found nan"),
        ({"no_repeat_ngram_size": 0}, "GenerationConfig.no_repeat_ngram_size must be at least 1, found 0"),
        ({"no_repeat_ngram_size": 2.5}, "GenerationConfig.no_repeat_ngram_size must be a whole number, found 2.5"),
        ({"banned": ("a", "")}, "GenerationConfig.banned must hold non-empty texts, found an empty one"),
        ({"logit_bias": ((-1, 1.0),)}, "a token id from 0 and a number from -1e30 to 1e30, found (-1, 1.0); to forbid"),
        ({"logit_bias": ((1, float("-inf")),)}, "found (1, -inf); to forbid a text use banned"),
        ({"logit_bias": ((1, 1e31),)}, "found (1, 1e+31)"),
        ({"logit_bias": ((1, float("nan")),)}, "found (1, nan)"),
        ({"logit_bias": ((1.0, 1.0),)}, "found (1.0, 1.0)"),
        ({"logit_bias": ((True, 1.0),)}, "found (True, 1.0)"),
        ({"logit_bias": ((1, "2"),)}, "found (1, '2')"),
        ({"logit_bias": (5,)}, "found 5"),
        ({"max_new_tokens": 0}, "GenerationConfig.max_new_tokens must be at least 1, found 0"),
        (
            {"cache": "int8", "use_cache": False},
            "GenerationConfig.cache must be float with use_cache=False, found int8",
        ),
        ({"n_top": -1}, "GenerationConfig.n_top must be at least 0, found -1"),
    ],
)
def test_impossible_values_are_refused_by_name(fields: dict[str, object], found: str):
    with pytest.raises(InputError) as raised:
        GenerationConfig(**fields)
    assert found in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"n_beams": 0}, "BeamConfig.n_beams must be at least 1, found 0"),
        ({"n_best": 0}, "BeamConfig.n_best must be at least 1, found 0"),
        ({"n_beams": 2, "n_best": 3}, "BeamConfig.n_best must be at most n_beams=2, found 3"),
        ({"length_penalty": 101.0}, "BeamConfig.length_penalty must be in [-100, 100], found 101.0"),
        ({"length_penalty": float("inf")}, "BeamConfig.length_penalty must be a finite number, found inf"),
    ],
)
def test_impossible_beams_are_refused_by_name(fields: dict[str, object], found: str):
    with pytest.raises(InputError) as raised:
        BeamConfig(**fields)
    assert found in str(raised.value)
    assert "\n" not in str(raised.value)


def test_beams_are_frozen_with_the_rest():
    with pytest.raises(dataclasses.FrozenInstanceError):
        GenerationConfig().beam.n_beams = 1  # type: ignore[misc]


@pytest.mark.parametrize("number", [1e30, -1e30])
def test_the_largest_bias_leaves_a_distribution(number: float):
    config = GenerationConfig(logit_bias=((1, number),), repetition_penalty=1e6)
    biased = logit_bias(torch.zeros(1, 3), config.logit_bias)
    assert repetition_penalty(biased, torch.tensor([[1]]), config.repetition_penalty).softmax(-1).sum() == 1
