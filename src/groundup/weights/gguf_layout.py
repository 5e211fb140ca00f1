"""Which tensors a GGUF file of a `GPTConfig` holds, and which of our modules each is made of."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from groundup.configs.model import GPTConfig
from groundup.weights.gguf_keys import architecture_of

_QKV = {"attn_q": "query", "attn_k": "key", "attn_v": "value"}


@dataclass(frozen=True, kw_only=True)
class Part:
    """A weight of the file, and its bias if it has one."""

    name: str
    """As llama.cpp names it, without .weight."""
    ours: tuple[str, ...]
    """Our modules whose rows it holds, one under the other."""
    is_matrix: bool = True
    """It is multiplied by, or its rows looked up by token: norms and positions are not."""
    has_bias: bool = False
    """The file holds one, zeros where our module has none."""
    n_heads: int = 0
    """Heads within which the rows of a rotated pair are neighbours. 0: rows lie as ours."""


def parts(config: GPTConfig) -> Iterator[Part]:
    """Yield what a file for `config` holds, layer by layer.

    Raises:
        InputError: parts that no architecture of llama.cpp has together: see `architecture_of`.

    Example:
        >>> config = GPTConfig(vocab_size=10, d_model=4, n_layers=1, n_heads=1)
        >>> [part.name for part in parts(config)][:4]
        ['token_embd', 'position_embd', 'blk.0.attn_norm', 'blk.0.attn_qkv']
    """
    architecture = architecture_of(config)
    biased = architecture == "gpt2"
    yield Part(name="token_embd", ours=("token_embedding",))
    if config.position == "learned":
        yield Part(name="position_embd", ours=("position_embedding",), is_matrix=False)
    for i in range(config.n_layers):
        theirs, ours = f"blk.{i}", f"blocks.{i}"
        yield Part(name=f"{theirs}.attn_norm", ours=(f"{ours}.attention_norm",), is_matrix=False, has_bias=biased)
        if architecture == "gpt2":
            qkv = tuple(f"{ours}.attention.{part}" for part in _QKV.values())
            yield Part(name=f"{theirs}.attn_qkv", ours=qkv, has_bias=True)
        else:
            yield from _qkv(config, theirs, ours, is_llama=architecture == "llama")
        yield Part(name=f"{theirs}.attn_output", ours=(f"{ours}.attention.output",), has_bias=biased)
        yield Part(name=f"{theirs}.ffn_norm", ours=(f"{ours}.feed_forward_norm",), is_matrix=False, has_bias=biased)
        for part in ("up", "down") if architecture == "gpt2" else ("gate", "up", "down"):
            yield Part(name=f"{theirs}.ffn_{part}", ours=(f"{ours}.feed_forward.{part}",), has_bias=biased)
    yield Part(name="output_norm", ours=("final_norm",), is_matrix=False, has_bias=biased)
    if not config.tie_embeddings:
        yield Part(name="output", ours=("output",))


def _qkv(config: GPTConfig, theirs: str, ours: str, *, is_llama: bool) -> Iterator[Part]:
    n_heads = {"attn_q": config.n_heads, "attn_k": config.kv_heads}
    for name, part in _QKV.items():
        yield Part(
            name=f"{theirs}.{name}",
            ours=(f"{ours}.attention.{part}",),
            has_bias=config.has_qkv_bias,
            n_heads=n_heads.get(name, 0) if is_llama else 0,
        )
    for name in ("query", "key") if config.qk_norm else ():
        yield Part(name=f"{theirs}.attn_{name[0]}_norm", ours=(f"{ours}.attention.{name}_norm",), is_matrix=False)


def neighbours(n_rows: int, n_heads: int) -> Tensor:
    """Return the order of rows in which llama.cpp's pairs are neighbours, where ours lie half a head apart.

    Example:
        >>> neighbours(8, n_heads=2).tolist()
        [0, 2, 1, 3, 4, 6, 5, 7]
    """
    return torch.arange(n_rows).view(n_heads, 2, -1).transpose(1, 2).flatten()  # [H, 2, K/2] -> [H, K/2, 2]
