"""BERT as `transformers` keeps it: its config.json, the names of its tensors, and a folder read into an `Encoder`."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from groundup.configs.encoder import EncoderConfig
from groundup.errors import InputError
from groundup.models.encoder import Encoder
from groundup.weights.building import build_module
from groundup.weights.families import GPT2_ACTIVATIONS
from groundup.weights.json_files import read_object
from groundup.weights.names import Stored, to_ours
from groundup.weights.tensor_files import TensorFile, open_tensors
from groundup.weights.text_encoder import TextEncoder
from groundup.weights.tokenizer_files import read_tokenizer

ARCHITECTURES = ("BertForMaskedLM", "BertForPreTraining")
"""What `transformers` calls BERT with a head that predicts hidden tokens."""
OPENING, CLOSING = "[CLS]", "[SEP]"
"""What stands before and behind every text that BERT reads."""
TIED = "cls.predictions.decoder.weight"
"""The output matrix; a file need not hold it when it shares the token table."""
BIASES = ("cls.predictions.bias", "cls.predictions.decoder.bias")
"""The bias of each token's logit, under both of its names."""
SEGMENTS = "bert.embeddings.token_type_embeddings.weight"
"""The vectors of segments, of which BERT always has one."""
_LAYER = {
    "attention.self.query": "attention.query",
    "attention.self.key": "attention.key",
    "attention.self.value": "attention.value",
    "attention.output.dense": "attention.output",
    "attention.output.LayerNorm": "attention_norm",
    "intermediate.dense": "feed_forward.up",
    "output.dense": "feed_forward.down",
    "output.LayerNorm": "feed_forward_norm",
}
_NEEDLESS = ("bert.pooler.", "cls.seq_relationship.", "bert.embeddings.position_ids", *BIASES)
"""Other heads than the one that predicts tokens, and copies."""
_SIZES = {
    "vocab_size": "vocab_size",
    "context_length": "max_position_embeddings",
    "n_segments": "type_vocab_size",
    "d_model": "hidden_size",
    "n_layers": "num_hidden_layers",
    "n_heads": "num_attention_heads",
    "d_ff": "intermediate_size",
}
"""Our sizes, and theirs."""


def load_bert(folder: Path) -> TextEncoder:
    """Load a BERT that lies in a folder: config.json, model.safetensors (or an old .bin) and tokenizer.json.

    The pooler and the prediction of the next sentence, if they are there, are left unread. Memory: the weights in
    float32 once, and one tensor of the file.

    Raises:
        InputError: a file that is missing or damaged, a model of another kind, or one with parts that `Encoder` lacks.

    Example: see `bert_export.save_bert`.
    """
    if not folder.is_dir():
        raise InputError(f"expected a folder with a model at {folder}, found none: check the path")
    document = read_object(folder / "config.json")
    config = read_bert_config(document, source=str(folder / "config.json"))
    model = _build(config, open_tensors(folder), str(folder))
    tokenizer = read_tokenizer(folder, document).tokenizer
    if tokenizer.vocab_size > model.vocab_size:
        raise InputError(
            f"expected a tokenizer of at most {model.vocab_size} tokens, as the model has, found "
            f"{tokenizer.vocab_size} in {folder}: use the model's own tokenizer"
        )
    frame = {name: tokenizer.special_tokens.get(name) for name in (OPENING, CLOSING)}
    opening, closing = (() if token is None else (token,) for token in frame.values())
    return TextEncoder(model=model, tokenizer=tokenizer, source=str(folder), opening=opening, closing=closing)


def encoder_from_tensors(document: Mapping[str, Any], tensors: Mapping[str, Tensor], *, source: str) -> Encoder:
    """Return the `Encoder` of a config.json's content and a state dict of `transformers`; memory may be shared.

    Raises:
        InputError: what does not fit, as `load_bert`.

    Example:
        >>> from transformers import BertConfig, BertForMaskedLM
        >>> sizes = dict(vocab_size=10, hidden_size=16, num_hidden_layers=1, num_attention_heads=2)
        >>> theirs = BertForMaskedLM(BertConfig(**sizes, intermediate_size=32, max_position_embeddings=8))
        >>> encoder_from_tensors(theirs.config.to_dict(), theirs.state_dict(), source="a model").n_parameters()
        2890
    """
    config = read_bert_config(document, source=source)
    files = {name: TensorFile(Path(source), tuple(t.shape), t.detach) for name, t in tensors.items()}
    return _build(config, files, source)


def read_bert_config(document: Mapping[str, Any], *, source: str) -> EncoderConfig:
    """Return the config that a config.json of BERT describes. Dropout is 0: whoever trains on chooses it.

    Raises:
        InputError: another architecture, or a part that `Encoder` lacks, by its name in the file; an impossible size.

    Example:
        >>> from groundup.configs.encoder import encoder_preset
        >>> sizes = {"vocab_size": 30_522, "max_position_embeddings": 512, "type_vocab_size": 2, "hidden_size": 768}
        >>> more = {"num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072}
        >>> config = read_bert_config({"model_type": "bert", **sizes, **more}, source="here")
        >>> config.feed_forward_width == encoder_preset("bert-base").feed_forward_width
        True
    """
    expected: dict[str, tuple[object, ...]] = {  # what may stand there, the first of it if nothing does
        "model_type": ("bert",),
        "position_embedding_type": ("absolute",),
        "is_decoder": (False,),
        "add_cross_attention": (False,),
        "is_encoder_decoder": (False,),
        "pruned_heads": ({}, None),
        "quantization_config": (None,),
        "tie_word_embeddings": (True, False),
        "hidden_act": ("gelu", *GPT2_ACTIVATIONS),
    }
    for name, allowed in expected.items():
        if document.get(name, allowed[0]) not in allowed:
            known = " or ".join(map(repr, dict.fromkeys(map(str, allowed))))
            raise _refused(name, known, document, source)
    architectures = document.get("architectures") or list(ARCHITECTURES)
    if not isinstance(architectures, list) or architectures[0] not in ARCHITECTURES:
        raise _refused("architectures", f"{ARCHITECTURES[0]}, which predicts hidden tokens,", document, source)
    sizes: dict[str, Any] = {ours: document.get(theirs) for ours, theirs in _SIZES.items()}
    for ours, size in sizes.items():
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            raise _refused(_SIZES[ours], "a whole number from 1", document, source)
    epsilon = document.get("layer_norm_eps", 1e-12)
    if isinstance(epsilon, bool) or not isinstance(epsilon, int | float) or not 0 < epsilon < 1:
        raise _refused("layer_norm_eps", "a number between 0 and 1", document, source)
    try:
        return EncoderConfig(
            **sizes,
            norm_epsilon=float(epsilon),
            activation=GPT2_ACTIVATIONS[document.get("hidden_act", "gelu")],
            dropout=0.0,
            tie_embeddings=document.get("tie_word_embeddings", True),
        )
    except InputError as error:
        raise InputError(f"{error} (in {source})") from None


def bert_tensors(config: EncoderConfig) -> Iterator[Stored]:
    """Yield what a file of BERT holds for `config`, layer by layer; lazily, for n_layers may be a stranger's lie.

    Example:
        >>> tensors = {stored.name: stored for stored in bert_tensors(EncoderConfig(vocab_size=9, n_layers=1))}
        >>> tensors["bert.encoder.layer.0.output.dense.weight"].ours, tensors["cls.predictions.bias"].shape
        (('blocks.0.feed_forward.down.weight',), (9,))
    """
    assert config.vocab_size is not None
    D, F, V = config.d_model, config.feed_forward_width, config.vocab_size
    start = "bert.embeddings."
    yield Stored(f"{start}word_embeddings.weight", (V, D), ("token_embedding.weight",))
    yield Stored(f"{start}position_embeddings.weight", (config.context_length, D), ("position_embedding.weight",))
    yield Stored(SEGMENTS, (max(1, config.n_segments), D), ("segment_embedding.weight",))
    yield from _both(f"{start}LayerNorm", "embedding_norm", (D,))
    shapes = {"feed_forward.up": (F, D), "feed_forward.down": (D, F)}  # as nn.Linear has them
    for i in range(config.n_layers):
        for theirs, ours in _LAYER.items():
            shape = (D,) if ours.endswith("norm") else shapes.get(ours, (D, D))
            yield from _both(f"bert.encoder.layer.{i}.{theirs}", f"blocks.{i}.{ours}", shape)
    yield from _both("cls.predictions.transform.dense", "head.dense", (D, D))
    yield from _both("cls.predictions.transform.LayerNorm", "head.norm", (D,))
    # transformers adds the bias of the decoder, which is the other one too only where the matrices are one.
    yield Stored(BIASES[0] if config.tie_embeddings else BIASES[1], (V,), ("output_bias",))
    if not config.tie_embeddings:
        yield Stored(TIED, (V, D), ("output.weight",))


def _both(theirs: str, ours: str, shape: tuple[int, ...]) -> Iterator[Stored]:
    """Yield the weight and the bias of a layer."""
    yield Stored(f"{theirs}.weight", shape, (f"{ours}.weight",))
    yield Stored(f"{theirs}.bias", shape[:1], (f"{ours}.bias",))


def _build(config: EncoderConfig, files: Mapping[str, TensorFile], source: str) -> Encoder:
    """Return the encoder that the files hold, if they hold it and nothing else."""
    found = {_newer(name): file for name, file in files.items()}
    wanted = []
    for stored in bert_tensors(config):
        file = found.get(stored.name)
        if file is None:
            raise InputError(f"expected {stored.name} in {source}, as config.json says, found no such tensor")
        if file.shape != stored.shape:
            said = f"{stored.name} of shape {stored.shape}"
            raise InputError(f"expected {said} in {source}, as config.json says, found {file.shape}")
        wanted.append(stored)
    for name in sorted(found.keys() - {stored.name for stored in wanted}):
        if not name.startswith(_NEEDLESS) and name != TIED:
            raise InputError(f"expected a BERT in {source}, found {name} besides: use another model")
    tensors = (pair for stored in wanted for pair in to_ours(stored, found[stored.name].read()))
    return build_module(lambda: Encoder(config), tensors, source=source)


def _newer(name: str) -> str:
    """Return the name that `transformers` gives today to a tensor of an older file."""
    for old, new in ((".gamma", ".weight"), (".beta", ".bias")):
        name = name.removesuffix(old) + new if name.endswith(f"LayerNorm{old}") else name
    return name


def _refused(name: str, expected: str, document: Mapping[str, Any], source: str) -> InputError:
    found = str(document.get(name, "nothing"))[:80]
    return InputError(f"expected {name} to be {expected} in {source}, found {found!r}: this model cannot be loaded")
