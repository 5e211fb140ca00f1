"""Encoder configs: what is impossible is refused, what is left open is worked out, presets are BERT's."""

import pytest

from groundup.configs.codec import from_json, to_json
from groundup.configs.encoder import ENCODER_PRESETS, EncoderConfig, encoder_preset
from groundup.errors import InputError


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"d_model": 10, "n_heads": 4}, "EncoderConfig.d_model must be a multiple of n_heads=4, found 10"),
        ({"d_model": 12, "n_heads": 4, "position": "rotary"}, "even d_head"),
        ({"n_segments": -1}, "EncoderConfig.n_segments must be at least 0"),
        ({"vocab_size": 0}, "EncoderConfig.vocab_size must be at least 1"),
        ({"dropout": 1.0}, "EncoderConfig.dropout"),
        ({"norm_epsilon": 0.0}, "EncoderConfig.norm_epsilon"),
    ],
)
def test_what_cannot_be_is_refused(fields: dict[str, object], said: str):
    with pytest.raises(InputError, match=said):
        EncoderConfig(**fields)


def test_the_feed_forward_width_follows():
    assert EncoderConfig().feed_forward_width == 3072
    assert EncoderConfig(d_ff=7).feed_forward_width == 7
    assert EncoderConfig(activation="swiglu").feed_forward_width == 2048


def test_presets_are_known_by_name_and_survive_json():
    for name, config in ENCODER_PRESETS.items():
        assert from_json(EncoderConfig, to_json(encoder_preset(name))) == config
    with pytest.raises(InputError, match="known are bert-base, bert-large"):
        encoder_preset("roberta")
