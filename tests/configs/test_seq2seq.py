"""The config of the encoder–decoder: round trips, automatic width, refusals that name the field."""

from dataclasses import replace

import pytest

from groundup.configs.codec import from_json, to_json
from groundup.configs.generation import BeamConfig
from groundup.configs.seq2seq import SEQ2SEQ_PRESETS, Seq2SeqConfig, seq2seq_preset
from groundup.errors import InputError


@pytest.mark.parametrize("name", SEQ2SEQ_PRESETS)
def test_json_round_trip(name):
    config = replace(seq2seq_preset(name), begin_id=3, share_embeddings="target")
    assert from_json(Seq2SeqConfig, to_json(config)) == config


def test_the_base_model_is_table_3_of_the_paper():
    base = seq2seq_preset("transformer-base")
    sizes = (base.n_encoder_layers, base.n_decoder_layers, base.d_model, base.n_heads, base.feed_forward_width)
    assert (*sizes, base.dropout) == (6, 6, 512, 8, 2048, 0.1)
    parts = (base.norm_order, base.activation, base.position, base.share_embeddings, base.bias)
    assert parts == ("post", "relu", "sinusoidal", "all", True)
    assert base == Seq2SeqConfig(d_ff=2048)
    with pytest.raises(InputError, match="unknown preset 'base': known are transformer-base"):
        seq2seq_preset("base")


def test_automatic_width_follows_d_model():
    assert Seq2SeqConfig(d_model=64).feed_forward_width == 256
    assert replace(Seq2SeqConfig(d_model=64), d_model=128).feed_forward_width == 512
    assert Seq2SeqConfig(d_model=256, activation="swiglu").feed_forward_width == 704


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"d_model": 30}, "d_model must be a multiple of n_heads=8, found 30"),
        ({"n_decoder_layers": 0}, "n_decoder_layers must be at least 1, found 0"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\), found 1"),
        ({"norm_epsilon": 0.0}, "norm_epsilon must be above 0"),
        ({"position": "rotary", "d_model": 24}, "an even d_head = d_model / n_heads, found 3"),
        ({"d_model": 9, "n_heads": 3, "sinusoidal_pairing": "halves"}, 'pairing "halves" needs an even d_model'),
        ({"source_vocab_size": 9, "target_vocab_size": 8}, "target or none for vocabularies of 9 and 8 tokens"),
        ({"target_vocab_size": 8, "begin_id": 8}, "begin_id must be below target_vocab_size=8, found 8"),
        ({"begin_id": -1}, "begin_id must be at least 0"),
        ({"context_length": 2.5}, "context_length must be a whole number"),
    ],
)
def test_impossible_fields_are_refused_by_name(fields, said):
    with pytest.raises(InputError, match=said):
        Seq2SeqConfig(**fields)


def test_two_vocabularies_that_are_equally_large_may_be_one():
    assert Seq2SeqConfig(source_vocab_size=9, target_vocab_size=9).share_embeddings == "all"
    assert Seq2SeqConfig(source_vocab_size=9, target_vocab_size=8, share_embeddings="target").d_head == 64


def test_a_coverage_penalty_is_not_negative():
    with pytest.raises(InputError, match=r"BeamConfig.coverage_penalty must be in \[0, 100\]"):
        BeamConfig(coverage_penalty=-0.1)
