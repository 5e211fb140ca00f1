"""Marian as `transformers` keeps it: its config.json, the names of its tensors, and a folder read into a `Seq2Seq`."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from groundup.configs.seq2seq import FeedForwardKind, Seq2SeqConfig
from groundup.errors import InputError
from groundup.models.seq2seq import Seq2Seq
from groundup.weights.building import build_module
from groundup.weights.families import GPT2_ACTIVATIONS
from groundup.weights.json_files import read_object
from groundup.weights.tensor_files import TensorFile, open_tensors

ARCHITECTURE = "MarianMTModel"
"""What `transformers` calls Marian's encoder–decoder."""
MARIAN_ACTIVATIONS: dict[str, FeedForwardKind] = {**GPT2_ACTIVATIONS, "swish": "silu", "silu": "silu"}
"""Their names of the non-linearities, and ours; the first of two for one is what we write."""
LOGIT_BIAS = "final_logits_bias"
"""[1, V]; files may leave it out, and it is zero then."""
SMALL_TABLE = 1 << 26
"""Bytes that the table of positions may take whatever the file's size: of it a config.json alone decides."""
_ATTENTION = {"q_proj": "query", "k_proj": "key", "v_proj": "value", "out_proj": "output"}
_LAYER = {
    **{f"self_attn.{theirs}": f"attention.{ours}" for theirs, ours in _ATTENTION.items()},
    "self_attn_layer_norm": "attention_norm",
    "fc1": "feed_forward.up",
    "fc2": "feed_forward.down",
    "final_layer_norm": "feed_forward_norm",
}
_CROSS = {
    **{f"encoder_attn.{theirs}": f"cross_attention.{ours}" for theirs, ours in _ATTENTION.items()},
    "encoder_attn_layer_norm": "cross_attention_norm",
}
_TABLES = {  # of each way to share: names in the file, and ours
    "all": {"model.shared.weight": "target_embedding.weight"},
    "target": {
        "model.encoder.embed_tokens.weight": "source_embedding.weight",
        "model.decoder.embed_tokens.weight": "target_embedding.weight",
    },
    "none": {
        "model.encoder.embed_tokens.weight": "source_embedding.weight",
        "model.decoder.embed_tokens.weight": "target_embedding.weight",
        "lm_head.weight": "output.weight",
    },
}
_COPIES = {name for tables in _TABLES.values() for name in tables}  # one matrix under the names of all its uses
_EXPECTED: dict[str, tuple[object, ...]] = {  # what may stand there, the first of it if nothing does
    "model_type": ("marian",),
    "architectures": ([ARCHITECTURE], ["MarianModel"], None),
    "is_encoder_decoder": (True,),
    "static_position_embeddings": (True,),
    "normalize_before": (False,),
    "normalize_embedding": (False,),
    "add_final_layer_norm": (False,),
    "extra_pos_embeddings": (0, None),
    "quantization_config": (None,),
    "share_encoder_decoder_embeddings": (True, False),
    "tie_word_embeddings": (True, False),
}
_SIZES = {
    "source_vocab_size": "vocab_size",
    "target_vocab_size": "decoder_vocab_size",
    "context_length": "max_position_embeddings",
    "d_model": "d_model",
    "n_encoder_layers": "encoder_layers",
    "n_decoder_layers": "decoder_layers",
    "n_heads": "encoder_attention_heads",
    "d_ff": "encoder_ffn_dim",
}
"""Our sizes, and theirs."""


def load_marian(folder: Path) -> Seq2Seq:
    """Load a Marian that lies in a folder: config.json, model.safetensors (or an old .bin).

    Its tokenizers are not read. Memory: the weights in float32 once, and one tensor of the file.

    Raises:
        InputError: a file that is missing or damaged, a model of another kind, or one with parts that `Seq2Seq` lacks.

    Example: see `marian_export.save_marian`.
    """
    if not folder.is_dir():
        raise InputError(f"expected a folder with a model at {folder}, found none: check the path")
    return _build(read_object(folder / "config.json"), open_tensors(folder), str(folder))


def seq2seq_from_tensors(document: Mapping[str, Any], tensors: Mapping[str, Tensor], *, source: str) -> Seq2Seq:
    """Return the `Seq2Seq` of a config.json's content and a state dict of `transformers`; memory may be shared.

    Raises:
        InputError: what does not fit, as `load_marian`.

    Example:
        >>> from transformers import MarianConfig, MarianMTModel
        >>> sizes = dict(vocab_size=10, d_model=16, max_position_embeddings=8, encoder_layers=1, decoder_layers=1)
        >>> sizes |= dict(encoder_ffn_dim=32, decoder_ffn_dim=32, encoder_attention_heads=2, decoder_attention_heads=2)
        >>> ids = dict(pad_token_id=9, eos_token_id=0, decoder_start_token_id=9, forced_eos_token_id=None)
        >>> theirs = MarianMTModel(MarianConfig(**sizes, **ids, scale_embedding=True))
        >>> seq2seq_from_tensors(theirs.config.to_dict(), theirs.state_dict(), source="a model").n_parameters()
        5728
    """
    return _build(
        document, {name: TensorFile(Path(source), tuple(t.shape), t.detach) for name, t in tensors.items()}, source
    )


def read_marian_config(document: Mapping[str, Any], *, source: str) -> Seq2SeqConfig:
    """Return the config that a config.json of Marian describes. Dropout is 0: whoever trains on chooses it.

    Raises:
        InputError: another architecture, or a part that `Seq2Seq` lacks, by its name in the file; an impossible size.

    Example:
        >>> sizes = {"vocab_size": 58_101, "d_model": 512, "encoder_layers": 6, "decoder_layers": 6}
        >>> sizes |= {"max_position_embeddings": 512, "encoder_ffn_dim": 2048, "decoder_ffn_dim": 2048}
        >>> sizes |= {"encoder_attention_heads": 8, "decoder_attention_heads": 8, "decoder_start_token_id": 58_100}
        >>> config = read_marian_config({"model_type": "marian", "scale_embedding": True, **sizes}, source="here")
        >>> config.n_heads, config.begin_id, config.sinusoidal_pairing
        (8, 58100, 'halves')
    """
    for name, allowed in _EXPECTED.items():
        if document.get(name, allowed[0]) not in allowed:
            raise _refused(name, " or ".join(map(str, allowed)), document, source)
    if document.get("scale_embedding") is not True:  # transformers leaves it out where it is False
        raise _refused("scale_embedding", "True", document, source)
    activation = document.get("activation_function", "gelu")
    if not isinstance(activation, str) or activation not in MARIAN_ACTIVATIONS:
        raise _refused("activation_function", " or ".join(MARIAN_ACTIVATIONS), document, source)
    document = {**document, "decoder_vocab_size": document.get("decoder_vocab_size") or document.get("vocab_size")}
    share = _sharing(document, source)
    if share == "all":
        document["decoder_vocab_size"] = document.get("vocab_size")  # whatever stands there
    sizes: dict[str, Any] = {ours: _size(document, theirs, source) for ours, theirs in _SIZES.items()}
    for theirs in ("attention_heads", "ffn_dim"):
        if document.get(f"decoder_{theirs}") != document[f"encoder_{theirs}"]:
            raise _refused(f"decoder_{theirs}", f"{document[f'encoder_{theirs}']} as the encoder's", document, source)
    begin = document.get("decoder_start_token_id")
    if not isinstance(begin, int) or isinstance(begin, bool):
        raise _refused("decoder_start_token_id", "the id that a target begins with", document, source)
    try:
        return Seq2SeqConfig(
            **sizes,
            begin_id=begin,
            position="sinusoidal",
            sinusoidal_pairing="halves",
            norm_order="post",
            activation=MARIAN_ACTIVATIONS[activation],
            dropout=0.0,
            share_embeddings=share,
        )
    except InputError as error:
        raise InputError(f"{error} (in {source})") from None


def tensor_names(config: Seq2SeqConfig) -> Iterator[tuple[str, str]]:
    """Yield what a file of Marian calls each parameter of a `Seq2Seq`, and our name of it, layer by layer.

    Example:
        >>> names = dict(tensor_names(Seq2SeqConfig(n_encoder_layers=1, n_decoder_layers=1)))
        >>> names["model.decoder.layers.0.encoder_attn.k_proj.weight"], names["model.shared.weight"]
        ('decoder.0.cross_attention.key.weight', 'target_embedding.weight')
    """
    yield from _TABLES[config.share_embeddings].items()
    if config.output_bias:
        yield LOGIT_BIAS, "output_bias"
    sides = {"encoder": (config.n_encoder_layers, _LAYER), "decoder": (config.n_decoder_layers, _LAYER | _CROSS)}
    for side, (n_layers, parts) in sides.items():
        for i in range(n_layers):
            for theirs, ours in parts.items():
                for one in ("weight", "bias"):
                    yield f"model.{side}.layers.{i}.{theirs}.{one}", f"{side}.{i}.{ours}.{one}"


def _build(document: Mapping[str, Any], files: Mapping[str, TensorFile], source: str) -> Seq2Seq:
    """Return the model that the files hold, if they hold it and nothing else."""
    config = read_marian_config(document, source=source)
    bias = files[LOGIT_BIAS].read().flatten() if LOGIT_BIAS in files else None
    if bias is not None and bias.any():  # one that is zero changes nothing
        config = replace(config, output_bias=True)
    names = {}
    for theirs, ours in tensor_names(config):  # a number of layers may be a stranger's lie: stop at the first
        if theirs not in files:
            raise InputError(f"expected {theirs} in {source}, as config.json says, found no such tensor")
        names[theirs] = ours
    for name in sorted(files.keys() - names.keys()):
        if name not in _COPIES and name != LOGIT_BIAS and not name.endswith(".embed_positions.weight"):
            raise InputError(f"expected a Marian in {source}, found {name} besides: use another model")
    _refuse_large_tables(config, {ours: files[theirs] for theirs, ours in names.items()}, source)
    tensors = (
        (ours, bias if bias is not None and theirs == LOGIT_BIAS else files[theirs].read())
        for theirs, ours in names.items()
    )
    return build_module(lambda: Seq2Seq(config), tensors, source=source)


def _refuse_large_tables(config: Seq2SeqConfig, found: Mapping[str, TensorFile], source: str) -> None:
    """Refuse sizes of a config.json that the tensors do not have, before memory is taken for them."""
    sizes = {"source": config.source_vocab_size, "target": config.target_vocab_size}
    for side, size in sizes.items():
        file = found.get(f"{side}_embedding.weight")
        if file is not None and file.shape != (size, config.d_model):
            raise InputError(
                f"expected a {side} embedding of shape {(size, config.d_model)} in {source}, as config.json says, "
                f"found {file.shape}"
            )
    allowed = max(SMALL_TABLE, 4 * sum(prod(file.shape) for file in found.values()))
    if (needed := 4 * config.context_length * config.d_model) > allowed:
        raise InputError(
            f"expected positions whose table takes at most {allowed:,} bytes in {source}, found "
            f"max_position_embeddings {config.context_length}, which takes {needed:,}"
        )


def _sharing(document: Mapping[str, Any], source: str) -> Literal["all", "target", "none"]:
    shared, tied = document.get("share_encoder_decoder_embeddings", True), document.get("tie_word_embeddings", True)
    if shared and not tied:
        raise _refused("tie_word_embeddings", "True with share_encoder_decoder_embeddings", document, source)
    return "all" if shared else "target" if tied else "none"


def _size(document: Mapping[str, Any], name: str, source: str) -> int:
    size = document.get(name)
    if not isinstance(size, int) or isinstance(size, bool) or size < 1:
        raise _refused(name, "a whole number from 1", document, source)
    return size


def _refused(name: str, expected: str, document: Mapping[str, Any], source: str) -> InputError:
    found = str(document.get(name, "nothing"))[:80]
    return InputError(f"expected {name} to be {expected} in {source}, found {found!r}: this model cannot be loaded")
