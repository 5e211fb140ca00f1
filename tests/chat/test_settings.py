"""Settings by name and value: every field of GenerationConfig, and the nearest one for a slip."""

import pytest

from groundup.chat.settings import change_setting, settings, shown
from groundup.configs import GenerationConfig
from groundup.errors import InputError


def test_every_field_can_be_set_to_what_is_shown():
    config = GenerationConfig(stop=("END",), banned=("a b",), logit_bias=((3, -1.5),), top_k=7)
    changed = GenerationConfig()
    for name, value in settings(config).items():
        changed = change_setting(changed, name, shown(value))
    assert changed == config


@pytest.mark.parametrize(
    ("name", "value", "field", "expected"),
    [
        ("temperature", "1", "temperature", 1.0),
        ("top-p", "0.5", "top_p", 0.5),
        ("top_k", "None", "top_k", None),
        ("strategy", "greedy", "strategy", "greedy"),
        ("stop_at_end", "False", "stop_at_end", False),
        ("stop", "END OF IT", "stop", ("END OF IT",)),
        ("stop", '"\\n"', "stop", ("\n",)),
        ("stop", "3", "stop", ("3",)),
        ("stop", "none", "stop", ()),
        ("banned", '["a", "b"]', "banned", ("a", "b")),
    ],
)
def test_a_value_is_read_as_a_person_writes_it(name: str, value: str, field: str, expected: object):
    assert getattr(change_setting(GenerationConfig(), name, value), field) == expected


def test_beams_are_set_by_their_own_names():
    assert change_setting(GenerationConfig(), "beam.n_beams", "2").beam.n_beams == 2


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("temprature", "1", "perhaps temperature"),
        ("n_beams", "1", "perhaps beam.n_beams"),
        ("strategy", "gredy", "perhaps greedy"),
        ("beam.early_stopping", "nevr", "perhaps never"),
        ("temperature", "hot", "temperature must be of type float, found 'hot' (it stays 1.0)"),
        ("temperature", "0", 'greedy decoding is strategy="greedy"'),
        ("temperature", "NaN", "must be a finite number"),
        ("top_k", "0.5", "top_k must be of type int, found 0.5 (it stays none)"),
        ("beam.n_best", "9", "beam.n_best must be at most n_beams=4, found 9"),
        ("logit_bias", "[[1]]", "logit_bias"),
        ("beam", "3", "perhaps beam."),
    ],
)
def test_a_wrong_name_or_value_is_one_line(name: str, value: str, said: str):
    with pytest.raises(InputError) as error:
        change_setting(GenerationConfig(), name, value)
    assert said in str(error.value)
    assert "\n" not in str(error.value)
