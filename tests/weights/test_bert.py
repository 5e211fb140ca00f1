"""A BERT of `transformers` loads with its logits and is written back; what cannot be held is refused by name."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForMaskedLM, AutoTokenizer, BertConfig, BertForMaskedLM, BertForPreTraining

from groundup.configs.encoder import ENCODER_PRESETS, EncoderConfig
from groundup.errors import InputError
from groundup.models.encoder import Encoder
from groundup.tokenization.base import END_OF_TEXT
from groundup.tokenization.bpe import ByteBPE
from groundup.tokenization.mask_token import MASK, encode_with_gaps
from groundup.weights.bert import encoder_from_tensors, load_bert, read_bert_config
from groundup.weights.bert_export import save_bert, write_bert_config
from groundup.weights.text_encoder import TextEncoder

# Float32 logits of size 5: up to 5e-6 was seen, for query, key and value are added in another order.
BOUND = 1e-5
SIZES = {
    "vocab_size": 261, "hidden_size": 48, "intermediate_size": 80, "num_hidden_layers": 3, "num_attention_heads": 4,
    "max_position_embeddings": 64, "type_vocab_size": 3, "initializer_range": 0.1,
}  # fmt: skip
VARIANTS: dict[str, dict[str, object]] = {
    "bert": {}, "gelu_new": {"hidden_act": "gelu_new"}, "relu": {"hidden_act": "relu"},
    "epsilon": {"layer_norm_eps": 0.1}, "untied": {"tie_word_embeddings": False},
}  # fmt: skip
TOKENS = torch.randint(261, (3, 40), generator=torch.Generator().manual_seed(0))
SEGMENTS = torch.randint(3, (3, 40), generator=torch.Generator().manual_seed(1))
IS_TOKEN = torch.arange(40) < torch.tensor([40, 21, 3])[:, None]


def tokenizer() -> ByteBPE:
    return ByteBPE([(b"t", b"h")], [END_OF_TEXT, MASK, "[CLS]", "[SEP]"])


def made(cls: Any = BertForMaskedLM, **fields: object) -> Any:
    """A model of `transformers` with every weight off its initial value: biases of 0 and norms of 1 would hide."""
    torch.manual_seed(0)
    theirs = cls(BertConfig(**(SIZES | fields))).eval()
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.02)
    return theirs


@torch.no_grad()
def apart(ours: Encoder, theirs: Any) -> float:
    """The largest difference of the logits at real tokens, with padding and segments."""
    expected = theirs(TOKENS, attention_mask=IS_TOKEN.long(), token_type_ids=SEGMENTS)
    found = ours(TOKENS, is_token=IS_TOKEN, segments=SEGMENTS)
    return float(
        (found - getattr(expected, "logits", getattr(expected, "prediction_logits", None)))[IS_TOKEN].abs().max()
    )


def saved(folder: Path, cls: Any = BertForMaskedLM, **fields: object) -> Any:
    theirs = made(cls, **fields)
    theirs.save_pretrained(folder)
    tokenizer().save(folder / "tokenizer.json")
    return theirs


def refuse(folder: Path, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        load_bert(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("fields", VARIANTS.values(), ids=VARIANTS)
def test_logits_are_transformers(fields: dict[str, object], tmp_path: Path):
    theirs = saved(tmp_path, **fields)
    found = load_bert(tmp_path)
    assert apart(found.model, theirs) <= BOUND
    n_unused = 0 if theirs.config.tie_word_embeddings else 261  # one of its two biases is read by nobody
    assert found.model.n_parameters() == theirs.num_parameters() - n_unused
    assert (found.opening, found.closing) == ((259,), (260,))


def test_gradients_are_transformers():
    theirs = made(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    ours = encoder_from_tensors(
        theirs.config.to_dict(), {k: v.clone() for k, v in theirs.state_dict().items()}, source=""
    )
    for logits in (ours(TOKENS, segments=SEGMENTS), theirs(TOKENS, token_type_ids=SEGMENTS).logits):
        torch.nn.functional.cross_entropy(logits.flatten(0, 1), TOKENS.flatten()).backward()
    for parameter in theirs.parameters():
        parameter.data = parameter.grad
    expected = encoder_from_tensors(theirs.config.to_dict(), theirs.state_dict(), source="")
    for (name, p), gradient in zip(ours.named_parameters(), expected.parameters(), strict=True):
        assert p.grad is not None, name
        # Float32 gradients up to 0.1, summed in another order through three layers.
        torch.testing.assert_close(p.grad, gradient.data, rtol=1e-4, atol=1e-6, msg=name)


def test_other_heads_are_left_unread(tmp_path: Path):
    theirs = saved(tmp_path, BertForPreTraining)
    assert any("pooler" in name for name in load_file(tmp_path / "model.safetensors"))
    assert apart(load_bert(tmp_path).model, theirs) <= BOUND


def test_an_old_file_with_gamma_and_beta_loads(tmp_path: Path):
    """As the hub's bert-base-uncased: norms by their old names, positions as numbers."""
    theirs = saved(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor
        for name, tensor in tensors.items()
    }
    old["bert.embeddings.position_ids"] = torch.arange(64)[None].float()
    save_file(old, tmp_path / "model.safetensors")
    assert apart(load_bert(tmp_path).model, theirs) <= BOUND


@pytest.mark.parametrize(("n_segments", "tied"), [(0, True), (2, True), (2, False)])
def test_what_is_saved_is_transformers_too(n_segments: int, tied: bool, tmp_path: Path):
    torch.manual_seed(3)
    config = EncoderConfig(
        vocab_size=261, context_length=64, n_segments=n_segments, d_model=48, n_layers=2, n_heads=4, dropout=0.0,
        tie_embeddings=tied,
    )  # fmt: skip
    model = Encoder(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.05)
    ours = TextEncoder(model=model, tokenizer=tokenizer(), source="ours", opening=(259,), closing=(260,))
    save_bert(ours, tmp_path / "bert")
    theirs = AutoModelForMaskedLM.from_pretrained(tmp_path / "bert").eval()
    with torch.no_grad():
        expected = theirs(TOKENS, attention_mask=IS_TOKEN.long()).logits[IS_TOKEN]
        assert (model(TOKENS, is_token=IS_TOKEN)[IS_TOKEN] - expected).abs().max() <= BOUND
    read = AutoTokenizer.from_pretrained(tmp_path / "bert")
    text = "the[MASK]"
    assert read.mask_token == MASK
    assert read("the", add_special_tokens=False)["input_ids"] == encode_with_gaps(ours.tokenizer, text)[:-1]
    again = load_bert(tmp_path / "bert")
    assert torch.equal(again.model(TOKENS), model(TOKENS))
    assert (again.opening, again.closing) == (ours.opening, ours.closing)


@pytest.mark.parametrize("config", ENCODER_PRESETS.values(), ids=ENCODER_PRESETS)
def test_presets_are_transformers_sizes(config: EncoderConfig):
    written = write_bert_config(config)
    theirs = BertConfig(**written)
    found = read_bert_config(theirs.to_dict(), source="here")
    assert (found.d_model, found.n_layers, found.n_heads) == (config.d_model, config.n_layers, config.n_heads)
    assert found.norm_epsilon == theirs.layer_norm_eps
    with torch.device("meta"):
        assert Encoder(config).n_parameters() == BertForMaskedLM(theirs).num_parameters()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"model_type": "roberta"}, "expected model_type to be 'bert' in .*, found 'roberta'"),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type to be 'absolute'"),
        ({"is_decoder": True}, "is_decoder"),
        ({"add_cross_attention": True}, "add_cross_attention"),
        ({"hidden_act": "swish"}, "hidden_act"),
        ({"hidden_act": []}, "hidden_act"),
        ({"pruned_heads": {"0": [1]}}, "pruned_heads"),
        ({"quantization_config": {"bits": 4}}, "quantization_config"),
        ({"architectures": ["BertForSequenceClassification"]}, "architectures to be BertForMaskedLM"),
        ({"architectures": ["BertModel"]}, "architectures"),
        ({"hidden_size": "48"}, "hidden_size to be a whole number"),
        ({"hidden_size": 50}, "d_model must be a multiple of n_heads=4"),
        ({"type_vocab_size": 0}, "type_vocab_size"),
        ({"layer_norm_eps": "small"}, "layer_norm_eps"),
        ({"num_hidden_layers": 10**9}, r"expected bert.encoder.layer.3.\S+ in .*, found no such tensor"),
        ({"num_hidden_layers": 2}, "found bert.encoder.layer.2.* besides"),
        ({"vocab_size": 10**10}, r"word_embeddings.weight of shape \(10000000000, 48\)"),
        ({"max_position_embeddings": 10**10}, "position_embeddings.weight of shape"),
        ({"type_vocab_size": 10**10}, "token_type_embeddings.weight of shape"),
        ({"intermediate_size": 10**10}, r"intermediate.dense.weight of shape \(10000000000, 48\)"),
        ({"tie_word_embeddings": False}, "expected cls.predictions.decoder.bias in .*, found no such tensor"),
    ],
)
def test_what_cannot_be_held_is_refused_by_name(fields: dict[str, object], said: str, tmp_path: Path):
    saved(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))
    refuse(tmp_path, said)


@pytest.mark.parametrize(
    "config",
    [
        {"position": "rotary"}, {"position": "sinusoidal"}, {"norm_order": "pre"}, {"embedding_norm": False},
        {"head_transform": False}, {"activation": "swiglu"},
    ],
    ids=str,
)  # fmt: skip
def test_what_bert_has_otherwise_is_not_written(config: dict[str, Any]):
    with pytest.raises(InputError, match=next(iter(config))):
        write_bert_config(EncoderConfig(vocab_size=9, **config))


def test_folders_that_hold_no_bert(tmp_path: Path):
    refuse(tmp_path / "nothing", "expected a folder with a model at .*, found none")
    saved(tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    refuse(tmp_path, "expected tokenizer.json in")
    ByteBPE([], [f"<{i}>" for i in range(9)]).save(tmp_path / "tokenizer.json")
    refuse(tmp_path, "expected a tokenizer of at most 261 tokens")
