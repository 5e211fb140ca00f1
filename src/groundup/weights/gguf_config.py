"""From the metadata of a GGUF file to a `GPTConfig`; what `GPT` does not do is refused by the name of its key."""

import re
from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np

from groundup.configs.model import GPTConfig
from groundup.errors import InputError
from groundup.weights.gguf import GGUFFile

ARCHITECTURES = ("llama", "qwen2", "qwen3", "gpt2")
"""Values of general.architecture that are read here."""

_READ = {
    "block_count", "context_length", "embedding_length", "feed_forward_length", "attention.head_count",
    "attention.head_count_kv", "attention.layer_norm_rms_epsilon", "attention.layer_norm_epsilon", "rope.freq_base",
}  # fmt: skip
_HEAD_WIDTHS = {"rope.dimension_count", "attention.key_length", "attention.value_length"}
_OFF: dict[str, tuple[object, ...]] = {  # values that say: this model does without
    "rope.scaling.type": ("none",),
    "rope.scaling.factor": (0, 1),
    "rope.scale_linear": (0, 1),
    "attention.sliding_window": (0,),
    "attention.causal": (True,),
    "expert_count": (0,),
    "expert_used_count": (0,),
    "use_parallel_residual": (False,),
}
_BLOCK = re.compile(r"blk\.([0-9]+)\.")


def config_of(file: GGUFFile) -> GPTConfig:
    """Return the sizes and parts of the model in `file`, each held against its tensors.

    A key of the architecture that is not known here is refused, for it may change what the model computes.

    Raises:
        InputError: another architecture, a key that is missing, unknown or asks for what `GPT` lacks (scaled rotary
            positions, experts, a sliding window, heads of another width), sizes that the tensors do not have.
    """
    architecture = file.metadata.get("general.architecture")
    if architecture not in ARCHITECTURES:
        found = repr(architecture)[:80]
        raise InputError(
            f"expected a model of one of the architectures {', '.join(ARCHITECTURES)} in {file.path}, found {found}: "
            "take another model"
        )
    keys = _Keys(file, architecture)
    try:
        config = keys.gpt2() if architecture == "gpt2" else keys.llama()
    except InputError as error:
        raise error if str(file.path) in str(error) else InputError(f"{error} (in {file.path})") from None
    keys.refuse_what_is_not_done(config)
    if config.position == "rotary" and config.context_length * config.d_head * 4 > len(file):
        keys.refuse("context_length", "tables of positions that are smaller than the file", config.context_length)
    return config


class _Keys:
    """The keys of one architecture, without its name in front."""

    def __init__(self, file: GGUFFile, architecture: str) -> None:
        prefix = architecture + "."
        self.file, self.architecture = file, architecture
        pairs: Mapping[str, Any] = file.metadata
        self.values = {key.removeprefix(prefix): value for key, value in pairs.items() if key.startswith(prefix)}

    def refuse(self, key: str, expected: str, found: object) -> NoReturn:
        raise InputError(
            f"expected {self.architecture}.{key} to be {expected} in {self.file.path}, found {str(found)[:80]!r}: "
            "the file is damaged, or the model has a part that is not built here"
        )

    def whole(self, key: str, default: int | None = None) -> int:
        value = self.values.get(key, default)
        if type(value) is not int or value < 1:
            self.refuse(key, "a whole number from 1", value)
        return value

    def real(self, key: str, default: float | None = None) -> float:
        """Return the shortest decimal that is this float32: what the publisher wrote."""
        value = self.values.get(key, default)
        if type(value) is not float or not 0 < value < np.inf:
            self.refuse(key, "a positive number", value)
        return float(str(np.float32(value)))

    def size(self, key: str, tensor: str, axis: int) -> int:
        """Return a size that must be what a tensor has, so that no file claims more than it holds."""
        value = self.whole(key)
        if self.shape(tensor)[axis] != value:
            self.refuse(key, f"{self.shape(tensor)[axis]} as in {tensor}", value)
        return value

    def shape(self, tensor: str) -> tuple[int, int]:
        info = self.file.tensors.get(tensor)
        if info is None or len(info.shape) != 2:
            found = "no such tensor" if info is None else f"shape {info.shape}"
            raise InputError(f"expected a matrix {tensor} in {self.file.path}, found {found}: the file is damaged")
        return info.shape[0], info.shape[1]

    def n_layers(self) -> int:
        blocks = {match[1] for name in self.file.tensors if (match := _BLOCK.match(name))}
        if (value := self.whole("block_count")) != len(blocks):
            self.refuse("block_count", f"{len(blocks)}, for so many have tensors", value)
        return value

    def gpt2(self) -> GPTConfig:
        return GPTConfig(
            vocab_size=self.shape("token_embd.weight")[0],
            context_length=self.size("context_length", "position_embd.weight", 0),
            d_model=self.size("embedding_length", "token_embd.weight", 1),
            n_layers=self.n_layers(),
            n_heads=self.whole("attention.head_count"),
            d_ff=self.size("feed_forward_length", "blk.0.ffn_up.weight", 0),
            norm_epsilon=self.real("attention.layer_norm_epsilon"),
            tie_embeddings="output.weight" not in self.file.tensors,
        )

    def llama(self) -> GPTConfig:
        if "rope_freqs.weight" in self.file.tensors:
            self.refuse("rope.scaling.type", "none (rotary positions are not scaled here)", "rope_freqs.weight")
        n_heads = self.whole("attention.head_count")
        return GPTConfig(
            vocab_size=self.shape("token_embd.weight")[0],
            context_length=self.whole("context_length"),
            d_model=self.size("embedding_length", "token_embd.weight", 1),
            n_layers=self.n_layers(),
            n_heads=n_heads,
            n_kv_heads=self.whole("attention.head_count_kv", default=n_heads),
            d_ff=self.size("feed_forward_length", "blk.0.ffn_up.weight", 0),
            position="rotary",
            rotary_base=self.real("rope.freq_base", default=10_000.0),
            norm="rms",
            norm_epsilon=self.real("attention.layer_norm_rms_epsilon"),
            activation="swiglu",
            qk_norm="blk.0.attn_q_norm.weight" in self.file.tensors,
            bias=False,
            qkv_bias="blk.0.attn_q.bias" in self.file.tensors or None,
            tie_embeddings="output.weight" not in self.file.tensors,
        )

    def refuse_what_is_not_done(self, config: GPTConfig) -> None:
        for key, value in self.values.items():
            if key not in _READ and not isinstance(value, bool | int | float | str):
                self.refuse(key[:80], "one value", "several")
            if key in _HEAD_WIDTHS:
                if value != config.d_head:
                    self.refuse(key, f"{config.d_head}, embedding_length / head_count", value)
            elif key == "vocab_size":
                if value != config.vocab_size:
                    self.refuse(key, f"{config.vocab_size} as in token_embd.weight", value)
            elif key in _OFF:
                if value not in _OFF[key]:
                    self.refuse(key, f"{_OFF[key][-1]}", value)
            elif key not in _READ:
                self.refuse(key[:80], "left out", value)
