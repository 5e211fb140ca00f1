"""An `Encoder` of ours as a folder that `transformers` opens as a BERT."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from groundup.configs.encoder import EncoderConfig
from groundup.engine.safetensors import save_file
from groundup.errors import InputError
from groundup.tokenization.mask_token import MASK
from groundup.weights.bert import ARCHITECTURES, BIASES, CLOSING, OPENING, bert_tensors
from groundup.weights.families import GPT2_ACTIVATIONS
from groundup.weights.names import from_ours
from groundup.weights.new_folder import new_folder
from groundup.weights.text_encoder import TextEncoder

_PARTS = {"position": "learned", "norm_order": "post", "embedding_norm": True, "head_transform": True}
"""What BERT has, and our config can have otherwise."""


def save_bert(encoder: TextEncoder, folder: Path) -> None:
    """Write `folder`: a model that `AutoModelForMaskedLM` and `AutoTokenizer` load, with equal logits and ids.

    It is there whole or not at all. Weights are float32; of a model without segments, they hold one that is zero. What
    stands before a text is not in tokenizer.json: a token of its own, or ours, is the caller's to put there.

    Raises:
        InputError: a model with parts that BERT does not have, by name; a folder in use, no place, a full disk.

    Example:
        >>> import tempfile
        >>> from groundup.models.encoder import Encoder
        >>> from groundup.tokenization.bpe import ByteBPE
        >>> from groundup.weights.bert import load_bert
        >>> config = EncoderConfig(vocab_size=257, context_length=8, d_model=16, n_layers=1, n_heads=2, dropout=0.0)
        >>> encoder = TextEncoder(model=Encoder(config).eval(), tokenizer=ByteBPE([], [MASK]), source="a model")
        >>> folder = Path(tempfile.mkdtemp()) / "bert"
        >>> save_bert(encoder, folder)
        >>> tokens = torch.tensor([[1, 2, 256]])
        >>> torch.equal(load_bert(folder).model(tokens), encoder.model(tokens))
        True
    """
    config = write_bert_config(encoder.model.config)
    parameters = {name: tensor.detach().float().cpu() for name, tensor in encoder.model.named_parameters()}
    parameters.setdefault("segment_embedding.weight", torch.zeros(1, encoder.model.config.d_model))
    tensors = {stored.name: from_ours(stored, parameters).numpy() for stored in bert_tensors(encoder.model.config)}
    tensors |= dict.fromkeys(BIASES, parameters["output_bias"].numpy())
    special = encoder.tokenizer.special_tokens
    spelled = {"mask_token": MASK, "cls_token": OPENING, "sep_token": CLOSING, "pad_token": "[PAD]"}
    told = {name: text for name, text in spelled.items() if text in special}
    ends = [name for name, token in special.items() if token == encoder.tokenizer.end_id]
    with new_folder(folder) as partial:
        save_file(tensors, partial / "model.safetensors", {"format": "pt"})
        _write(partial / "config.json", config | {"pad_token_id": special.get("[PAD]")})
        encoder.tokenizer.save(partial / "tokenizer.json")
        _write(
            partial / "tokenizer_config.json",
            {
                "tokenizer_class": "PreTrainedTokenizerFast",
                "model_max_length": encoder.model.context_length,
                "clean_up_tokenization_spaces": False,
                **({"eos_token": ends[0]} if ends else {}),
                **told,
            },
        )


def write_bert_config(config: EncoderConfig) -> dict[str, Any]:
    """Return the config.json of a BERT that `transformers` builds with the same parts.

    Raises:
        InputError: a part that BERT has otherwise, by name.

    Example:
        >>> write_bert_config(EncoderConfig(vocab_size=30_522))["intermediate_size"]
        3072
        >>> write_bert_config(EncoderConfig(vocab_size=9, position="rotary"))
        Traceback (most recent call last):
        groundup.errors.InputError: expected position=learned as BERT has, found position=rotary: transformers has no such BERT
    """  # noqa: E501 - the message is shown whole
    for name, expected in _PARTS.items():
        if (found := getattr(config, name)) != expected:
            raise InputError(
                f"expected {name}={expected} as BERT has, found {name}={found}: transformers has no such BERT"
            )
    if config.activation == "swiglu":
        raise InputError("expected a plain feed-forward layer as BERT has, found activation=swiglu")
    theirs = {ours: name for name, ours in reversed(GPT2_ACTIVATIONS.items())}
    return {
        "architectures": [ARCHITECTURES[0]],
        "model_type": "bert",
        "vocab_size": config.vocab_size,
        "max_position_embeddings": config.context_length,
        "type_vocab_size": max(1, config.n_segments),
        "hidden_size": config.d_model,
        "num_hidden_layers": config.n_layers,
        "num_attention_heads": config.n_heads,
        "intermediate_size": config.feed_forward_width,
        "hidden_act": theirs[config.activation],
        "hidden_dropout_prob": config.dropout,
        "attention_probs_dropout_prob": config.dropout,
        "layer_norm_eps": config.norm_epsilon,
        "initializer_range": 0.02,
        "position_embedding_type": "absolute",
        "tie_word_embeddings": config.tie_embeddings,
        "dtype": "float32",
        "torch_dtype": "float32",  # as transformers called it before version 5
    }


def _write(path: Path, document: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
