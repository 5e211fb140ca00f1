"""Marian both ways: what we write transformers reads with equal logits, and what `Seq2Seq` lacks is refused by name."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from groundup.configs.seq2seq import Seq2SeqConfig
from groundup.engine.safetensors import save_file
from groundup.errors import InputError
from groundup.models.seq2seq import Seq2Seq
from groundup.weights.marian import load_marian, read_marian_config, seq2seq_from_tensors, tensor_names
from groundup.weights.marian_export import save_marian, write_marian_config

PLAIN = Seq2SeqConfig(
    source_vocab_size=23,
    target_vocab_size=23,
    context_length=600,
    d_model=16,
    n_encoder_layers=1,
    n_decoder_layers=2,
    n_heads=4,
    d_ff=20,
    dropout=0.0,
    sinusoidal_pairing="halves",
    begin_id=22,
)
COVERED = {
    "one vocabulary": PLAIN,
    "a bias of the logits": replace(PLAIN, output_bias=True, activation="silu"),
    "two vocabularies": replace(PLAIN, source_vocab_size=31, share_embeddings="target", activation="gelu"),
    "untied": replace(PLAIN, source_vocab_size=31, share_embeddings="none", activation="gelu_tanh"),
}


def build(config):
    torch.manual_seed(0)
    model = Seq2Seq(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.2)
    return model


def tokens():
    generator = torch.Generator().manual_seed(0)
    source, target = (torch.randint(22, (2, T), generator=generator) for T in (520, 7))
    return source, target, torch.arange(520) < torch.tensor([[520], [400]])


@pytest.mark.parametrize("config", COVERED.values(), ids=COVERED)
def test_transformers_reads_what_we_write_and_we_what_it_writes(config, tmp_path):
    from transformers import AutoModelForSeq2SeqLM

    model, (source, target, real) = build(config), tokens()
    save_marian(model, tmp_path / "ours", end_id=0)
    theirs = AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "ours").eval()
    with torch.inference_mode():
        expected = theirs(input_ids=source, attention_mask=real.long(), decoder_input_ids=target).logits
        # float32: the same sums in another order; with positions up to 520, whose angles must be exact
        assert (model(source, target, source_is_token=real) - expected).abs().max() <= 1e-5
        theirs.save_pretrained(tmp_path / "theirs")
        back = load_marian(tmp_path / "theirs")
        assert torch.equal(back(source, target), model(source, target))
    assert back.config == model.config
    assert not back.training
    assert theirs.config.decoder_start_token_id == 22
    assert theirs.config.eos_token_id == 0


@pytest.mark.parametrize("config", COVERED.values(), ids=COVERED)
def test_what_is_written_reads_as_the_same_config(config, tmp_path):
    read = read_marian_config(write_marian_config(config, end_id=0), source="here")
    assert read == replace(config, output_bias=False)  # a tensor says that, not config.json
    model = build(config)
    save_marian(model, tmp_path / "m", end_id=0)
    assert load_marian(tmp_path / "m").config == config


@pytest.mark.parametrize("config", COVERED.values(), ids=COVERED)
def test_every_parameter_has_one_name(config):
    names = dict(tensor_names(config))
    assert sorted(names.values()) == sorted(name for name, _ in build(config).named_parameters())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model_type": "bart"}, "model_type to be marian in here, found 'bart'"),
        ({"scale_embedding": False}, "scale_embedding to be True"),
        ({"normalize_before": True}, "normalize_before to be False"),
        ({"normalize_embedding": True}, "normalize_embedding to be False"),
        ({"add_final_layer_norm": True}, "add_final_layer_norm to be False"),
        ({"static_position_embeddings": False}, "static_position_embeddings to be True"),
        ({"quantization_config": {"bits": 4}}, "quantization_config to be None"),
        ({"architectures": ["MarianForCausalLM"]}, "architectures to be"),
        ({"decoder_ffn_dim": 24}, "decoder_ffn_dim to be 20 as the encoder's in here, found '24'"),
        ({"decoder_attention_heads": 2}, "decoder_attention_heads to be 4 as the encoder's"),
        ({"activation_function": "tanh"}, "activation_function to be gelu_new or"),
        ({"tie_word_embeddings": False}, "tie_word_embeddings to be True with share_encoder_decoder_embeddings"),
        ({"d_model": "16"}, "d_model to be a whole number from 1"),
        ({"d_model": 18}, "d_model must be a multiple of n_heads=4, found 18"),
        ({"decoder_start_token_id": None}, "decoder_start_token_id to be the id that a target begins with"),
        ({"decoder_start_token_id": 23}, "begin_id must be below target_vocab_size=23, found 23"),
    ],
)
def test_what_our_model_lacks_is_refused_by_its_name_in_the_file(changes, said):
    document = write_marian_config(PLAIN, end_id=0) | changes
    with pytest.raises(InputError, match=said) as error:
        read_marian_config(document, source="here")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "parts",
    [{"position": "rotary"}, {"sinusoidal_pairing": "interleaved"}, {"norm_order": "pre"}, {"norm_epsilon": 1e-6},
     {"bias": False}, {"activation": "swiglu"}, {"rotary_base": 500.0}],
)  # fmt: skip
def test_what_marian_lacks_is_refused_by_our_name(parts):
    with pytest.raises(InputError, match="=".join(str(next(iter(pair))) for pair in (parts, parts.values()))):
        write_marian_config(replace(PLAIN, **parts), end_id=0)


def stored(folder, change):
    """A folder that we wrote, with its tensors changed."""
    model = build(PLAIN)
    save_marian(model, folder, end_id=0)
    parameters = dict(model.named_parameters())
    tensors = {theirs: parameters[ours].detach().numpy() for theirs, ours in tensor_names(PLAIN)}
    change(tensors)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    return folder


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.pop("model.encoder.layers.0.fc1.bias"), "expected model.encoder.layers.0.fc1.bias in"),
        (lambda t: t.update(extra=np.zeros(2, np.float32)), "expected a Marian in .* found extra besides"),
        (lambda t: t.update({"model.shared.weight": np.zeros((9, 16), np.float32)}), r"embedding of shape \(23, 16"),
        (lambda t: t.update({"model.encoder.layers.0.fc1.bias": np.zeros(3, np.float32)}), r"of shape \(20,\)"),
    ],
)  # fmt: skip
def test_tensors_that_do_not_fit_are_one_line(change, said, tmp_path):
    with pytest.raises(InputError, match=said) as error:
        load_marian(stored(tmp_path / "m", change))
    assert "\n" not in str(error.value)


def test_copies_of_shared_tensors_and_tables_of_positions_may_be_there(tmp_path):
    def change(tensors):
        for name in ("lm_head.weight", "model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight"):
            tensors[name] = tensors["model.shared.weight"].copy()
        tensors["model.encoder.embed_positions.weight"] = np.zeros((600, 16), np.float32)
        tensors["final_logits_bias"] = np.zeros((1, 23), np.float32)

    loaded = load_marian(stored(tmp_path / "m", change))
    assert loaded.config == PLAIN  # a bias that is zero is none
    source, target, _ = tokens()
    assert torch.equal(loaded(source, target), build(PLAIN)(source, target))


def test_positions_that_would_fill_the_memory_are_refused():
    model = build(PLAIN)
    parameters = dict(model.named_parameters())
    tensors = {theirs: parameters[ours] for theirs, ours in tensor_names(PLAIN)}
    document = write_marian_config(PLAIN, end_id=0) | {"max_position_embeddings": 1 << 40}
    with pytest.raises(InputError, match="max_position_embeddings 1099511627776, which takes"):
        seq2seq_from_tensors(document, tensors, source="here")


def test_a_folder_that_is_none_or_in_use(tmp_path):
    with pytest.raises(InputError, match="expected a folder with a model"):
        load_marian(tmp_path / "none")
    (tmp_path / "config.json").write_text(json.dumps({}))
    with pytest.raises(InputError, match="a new or empty folder"):
        save_marian(build(PLAIN), tmp_path, end_id=0)
