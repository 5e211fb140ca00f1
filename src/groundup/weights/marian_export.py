"""A `Seq2Seq` of ours as a folder that `transformers` opens as a Marian."""

import json
from pathlib import Path
from typing import Any

import torch

from groundup.configs.seq2seq import Seq2SeqConfig
from groundup.engine.safetensors import save_file
from groundup.errors import InputError
from groundup.models.seq2seq import Seq2Seq
from groundup.weights.marian import ARCHITECTURE, LOGIT_BIAS, MARIAN_ACTIVATIONS, tensor_names
from groundup.weights.new_folder import new_folder

_PARTS = {
    "position": "sinusoidal",
    "sinusoidal_pairing": "halves",
    "rotary_base": 10_000.0,
    "norm_order": "post",
    "norm_epsilon": 1e-5,
    "bias": True,
}
"""What Marian has, and our config can have otherwise."""


def save_marian(model: Seq2Seq, folder: Path, *, end_id: int, pad_id: int | None = None) -> None:
    """Write `folder`: a model that `AutoModelForSeq2SeqLM` loads, with equal logits; tokenizers are not in it.

    It is there whole or not at all. Weights are float32.

    Args:
        model: of the parts that Marian has.
        folder: new, or empty.
        end_id: the id that ends a text; one that begins a target too, unless the config has a begin_id.
        pad_id: the id that fills rows up, which `transformers` takes for no token. None: what begins a target.

    Raises:
        InputError: a model with parts that Marian does not have, by name; a folder in use, no place, a full disk.

    Example:
        >>> import tempfile
        >>> from groundup.weights.marian import load_marian
        >>> sizes = dict(source_vocab_size=10, target_vocab_size=10, d_model=16, n_heads=2, context_length=8)
        >>> layers = dict(n_encoder_layers=1, n_decoder_layers=1, dropout=0.0)
        >>> model = Seq2Seq(Seq2SeqConfig(**sizes, **layers, sinusoidal_pairing="halves", begin_id=9)).eval()
        >>> folder = Path(tempfile.mkdtemp()) / "marian"
        >>> save_marian(model, folder, end_id=0)
        >>> source, target = torch.tensor([[1, 2, 3]]), torch.tensor([[9, 4]])
        >>> torch.equal(load_marian(folder)(source, target), model(source, target))
        True
    """
    config = write_marian_config(model.config, end_id=end_id, pad_id=pad_id)
    parameters = {name: tensor.detach().float().cpu() for name, tensor in model.named_parameters()}
    tensors = {theirs: parameters[ours] for theirs, ours in tensor_names(model.config)}
    tensors[LOGIT_BIAS] = tensors.get(LOGIT_BIAS, torch.zeros(model.target_vocab_size))[None]
    ids = {name: config[name] for name in ("decoder_start_token_id", "eos_token_id", "pad_token_id")}
    with new_folder(folder) as partial:
        save_file({name: tensor.numpy() for name, tensor in tensors.items()}, partial / "model.safetensors", _FORMAT)
        _write(partial / "config.json", config)
        _write(partial / "generation_config.json", ids | {"max_length": model.context_length})


def write_marian_config(config: Seq2SeqConfig, *, end_id: int, pad_id: int | None = None) -> dict[str, Any]:
    """Return the config.json of a Marian that `transformers` builds with the same parts.

    Raises:
        InputError: a part that Marian has otherwise, by name.

    Example:
        >>> write_marian_config(Seq2SeqConfig(sinusoidal_pairing="halves"), end_id=0)["decoder_start_token_id"]
        0
        >>> write_marian_config(Seq2SeqConfig(norm_order="pre", sinusoidal_pairing="halves"), end_id=0)
        Traceback (most recent call last):
        groundup.errors.InputError: expected norm_order=post as Marian has, found norm_order=pre: transformers has no such Marian
    """  # noqa: E501 - the message is shown whole
    for name, expected in _PARTS.items():
        if (found := getattr(config, name)) != expected:
            raise InputError(
                f"expected {name}={expected} as Marian has, found {name}={found}: transformers has no such Marian"
            )
    names = {ours: theirs for theirs, ours in reversed(MARIAN_ACTIVATIONS.items())}
    if config.activation not in names:
        raise InputError(f"expected a plain feed-forward layer as Marian has, found activation={config.activation}")
    begin_id = end_id if config.begin_id is None else config.begin_id
    return {
        "architectures": [ARCHITECTURE],
        "model_type": "marian",
        "is_encoder_decoder": True,
        "vocab_size": config.source_vocab_size,
        "decoder_vocab_size": config.target_vocab_size,
        "share_encoder_decoder_embeddings": config.share_embeddings == "all",
        "tie_word_embeddings": config.share_embeddings != "none",
        "max_position_embeddings": config.context_length,
        "d_model": config.d_model,
        "encoder_layers": config.n_encoder_layers,
        "decoder_layers": config.n_decoder_layers,
        **{f"{side}_attention_heads": config.n_heads for side in ("encoder", "decoder")},
        **{f"{side}_ffn_dim": config.feed_forward_width for side in ("encoder", "decoder")},
        "activation_function": names[config.activation],
        "scale_embedding": True,
        "static_position_embeddings": True,
        "dropout": config.dropout,
        "attention_dropout": config.dropout,
        "activation_dropout": 0.0,
        "decoder_start_token_id": begin_id,
        "eos_token_id": end_id,
        "forced_eos_token_id": None,
        "pad_token_id": begin_id if pad_id is None else pad_id,
        "dtype": "float32",
        "torch_dtype": "float32",  # as transformers called it before version 5
    }


_FORMAT = {"format": "pt"}


def _write(path: Path, document: dict[str, Any]) -> None:
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
