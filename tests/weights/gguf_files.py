"""Small GGUF files to read: whole models written by the `gguf` package, and bytes laid by hand to break one rule."""

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from groundup.tokenization.byte_alphabet import BYTES, spell

KINDS = gguf.GGMLQuantizationType


def write(
    path: Path, architecture: str, pairs: Mapping[str, Any], tensors: Mapping[str, np.ndarray], kind: KINDS = KINDS.F32
) -> Path:
    """Write a file with the `gguf` package: matrices of `kind`, vectors of float32, as llama.cpp's converter does."""
    writer = gguf.GGUFWriter(path, architecture)
    for key, value in pairs.items():
        add(writer, key, value)
    for name, values in tensors.items():
        stored = kind if values.ndim > 1 else KINDS.F32
        writer.add_tensor(name, gguf.quantize(np.ascontiguousarray(values, np.float32), stored), raw_dtype=stored)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def add(writer: gguf.GGUFWriter, key: str, value: Any) -> None:
    kinds = {bool: writer.add_bool, int: writer.add_uint32, float: writer.add_float32, str: writer.add_string}
    kinds.get(type(value), writer.add_array)(key, value)


def byte_level(words: tuple[str, ...] = (), pre: str = "gpt-2") -> dict[str, Any]:
    """Return the keys of a byte-level tokenizer: 256 bytes, what the merges make, and an end token."""
    merges = ["t h", "th e", "Ġ the", "1 2", "Ġ Ġ", "i n", *words]
    tokens = [*map(spell, BYTES), *(merge.replace(" ", "") for merge in merges), "<|end|>"]
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": pre,
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [1] * (len(tokens) - 1) + [3],
        "tokenizer.ggml.merges": merges,
        "tokenizer.ggml.eos_token_id": len(tokens) - 1,
    }


N_TOKENS = len(byte_level()["tokenizer.ggml.tokens"])


def sizes(architecture: str, **changes: Any) -> dict[str, Any]:
    """Return the keys of a small model, all but its tokenizer."""
    epsilon = "layer_norm_epsilon" if architecture == "gpt2" else "layer_norm_rms_epsilon"
    keys = {
        "context_length": 32, "embedding_length": 32, "block_count": 2, "feed_forward_length": 64,
        "attention.head_count": 4, f"attention.{epsilon}": 1e-5,
    }  # fmt: skip
    if architecture != "gpt2":
        keys |= {"attention.head_count_kv": 2, "rope.freq_base": 5000.0, "rope.dimension_count": 8}
    keys |= {key.replace("__", "."): value for key, value in changes.items()}
    return {f"{architecture}.{key}": value for key, value in keys.items() if value is not None}


def small_llama(path: Path, **changes: Any) -> Path:
    """Write a Llama with random weights; `changes` replace keys of the architecture (None: left out)."""
    return write(path, "llama", sizes("llama", **changes) | byte_level(), llama_tensors())


def llama_tensors() -> dict[str, np.ndarray]:
    draw = np.random.default_rng(0)
    shapes = {
        "attn_norm": (32,), "attn_q": (32, 32), "attn_k": (16, 32), "attn_v": (16, 32), "attn_output": (32, 32),
        "ffn_norm": (32,), "ffn_gate": (64, 32), "ffn_up": (64, 32), "ffn_down": (32, 64),
    }  # fmt: skip
    tensors = {"token_embd.weight": (N_TOKENS, 32), "output_norm.weight": (32,)}
    tensors |= {f"blk.{i}.{name}.weight": shape for i in range(2) for name, shape in shapes.items()}
    return {name: draw.standard_normal(shape) for name, shape in tensors.items()}


def string(text: str | bytes) -> bytes:
    spelled = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(spelled)) + spelled


def pair(key: str, kind: int, value: bytes) -> bytes:
    return string(key) + struct.pack("<I", kind) + value


def array(kind: int, n_values: int, values: bytes = b"") -> bytes:
    return struct.pack("<IQ", kind, n_values) + values


def info(name: str, shape: tuple[int, ...], kind: int = 0, offset: int = 0) -> bytes:
    return string(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)


def by_hand(pairs: tuple[bytes, ...] = (), infos: tuple[bytes, ...] = (), data: bytes = b"", version: int = 3) -> bytes:
    """Return a file laid by hand, its numbers at a multiple of 32 bytes."""
    header = b"GGUF" + struct.pack("<IQQ", version, len(infos), len(pairs)) + b"".join(pairs) + b"".join(infos)
    return header + bytes(-len(header) % 32) + data
