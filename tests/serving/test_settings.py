"""What the page asks for is a GenerationConfig, or one line that names the control."""

import math
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.available import Available
from groundup.configs.generation import BeamConfig, GenerationConfig
from groundup.errors import InputError
from groundup.serving.settings import first_choice, first_mode, generation_config, model_choices

ASKED = {"temperature": 0.8, "top_k": 50, "top_p": 0.9, "n_beams": 3, "length": 64, "seed": 5}


def available(
    name: str,
    *,
    kind: Literal["chat", "text", "run"] = "text",
    n_parameters: int | None = None,
    n_bytes: int | None = None,
    how: str = "",
) -> Available:
    return Available(
        name=name, kind=kind, n_parameters=n_parameters, n_bytes=n_bytes, licence="", source="somewhere", how=how
    )


def test_each_strategy_takes_what_it_reads():
    sample = GenerationConfig(temperature=0.8, top_k=50, top_p=0.9, max_new_tokens=64, seed=5)
    assert generation_config(strategy="sample", **ASKED) == sample
    greedy = GenerationConfig(strategy="greedy", max_new_tokens=64, seed=5)
    assert generation_config(strategy="greedy", **ASKED) == greedy
    beam = GenerationConfig(strategy="beam", beam=BeamConfig(n_beams=3), max_new_tokens=64, seed=5)
    assert generation_config(strategy="beam", **ASKED) == beam


def test_the_end_of_a_slider_that_keeps_all_is_no_filter():
    config = generation_config(strategy="sample", **ASKED | {"top_k": 0, "top_p": 1})
    assert (config.top_k, config.top_p) == (None, None)


@pytest.mark.parametrize(
    ("control", "value", "said"),
    [
        ("length", None, "a number for length, found nothing"),
        ("length", 3.5, "a whole number for length, found 3.5"),
        ("seed", "x", "a number for seed, found 'x'"),
        ("top_k", True, "a number for top-k, found True"),
        ("temperature", 0, "temperature must be above 0"),
        ("strategy", "best", "sample, greedy or beam, found 'best'"),
    ],
)
def test_what_cannot_be_used_is_named(control: str, value: object, said: str):
    with pytest.raises(InputError, match=said):
        generation_config(**{"strategy": "sample", **ASKED, control: value})


@settings(max_examples=50, derandomize=True)
@given(
    strategy=st.sampled_from(["sample", "greedy", "beam"]),
    control=st.sampled_from(sorted(ASKED)),
    value=st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=3) | st.lists(st.none()),
)
def test_whatever_a_browser_sends_is_taken_or_refused_in_one_line(strategy: str, control: str, value: object):
    try:
        config = generation_config(**{"strategy": strategy, **ASKED, control: value})
    except InputError as error:
        refusal = str(error)
    else:
        refusal = ""
        assert math.isfinite(config.temperature)
        assert config.max_new_tokens >= 1
    assert "\n" not in refusal


def test_a_label_tells_the_size_and_how_to_get_what_is_not_here():
    models = [
        available("runs/demo", n_parameters=1_800_000, n_bytes=7),
        available("gpt2", n_parameters=124_439_808, how="downloads 0.5 GB"),
        available("damaged", n_bytes=1),
        available("tiny", n_parameters=12, n_bytes=1),
    ]
    labels = ["runs/demo · 1.8M", "gpt2 · 124M · downloads 0.5 GB", "damaged", "tiny · 12"]
    assert model_choices(models) == list(zip(labels, [model.name for model in models], strict=True))


def test_what_is_here_is_chosen_before_what_must_be_downloaded():
    far, near = available("far"), available("near", n_bytes=1)
    assert first_choice([far, near]) == "near"
    assert first_choice([far]) == "far"
    assert first_choice([far, near], wanted="a/folder") == "a/folder"
    assert first_choice([]) == ""


def test_a_model_that_converses_is_let_answer_at_first():
    models = [available("talker", kind="chat"), available("writer"), available("runs/mine", kind="run")]
    assert [first_mode(models, name) for name in ("talker", "writer", "runs/mine", "unknown")] == ["chat"] + [
        "text"
    ] * 3
