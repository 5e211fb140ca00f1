"""What the tensors of published models are called and how they lie in the file, against the parameters of our `GPT`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from groundup.configs.model import GPTConfig
from groundup.weights.families import Family

HEAD = "lm_head.weight"
"""The output projection; a file need not hold it when it shares the token table."""
_GPT2_LAYER = {
    "ln_1": ("attention_norm",),
    "attn.c_attn": ("attention.query", "attention.key", "attention.value"),
    "attn.c_proj": ("attention.output",),
    "ln_2": ("feed_forward_norm",),
    "mlp.c_fc": ("feed_forward.up",),
    "mlp.c_proj": ("feed_forward.down",),
}
_LLAMA_LAYER = {
    "input_layernorm": "attention_norm",
    "self_attn.q_proj": "attention.query",
    "self_attn.k_proj": "attention.key",
    "self_attn.v_proj": "attention.value",
    "self_attn.q_norm": "attention.query_norm",
    "self_attn.k_norm": "attention.key_norm",
    "self_attn.o_proj": "attention.output",
    "post_attention_layernorm": "feed_forward_norm",
    "mlp.gate_proj": "feed_forward.gate",
    "mlp.up_proj": "feed_forward.up",
    "mlp.down_proj": "feed_forward.down",
}
_TABLES = (".attn.bias", ".attn.masked_bias", ".rotary_emb.inv_freq")  # computed, though older files hold them


@dataclass(frozen=True)
class Stored:
    """One tensor as a file of the family holds it."""

    name: str
    """In the file."""
    shape: tuple[int, ...]
    """In the file."""
    ours: tuple[str, ...]
    """The parameters of `GPT` that it holds, side by side along its last axis."""
    transposed: bool = False
    """It lies as [in, out] (`transformers`' Conv1D), where `nn.Linear` has [out, in]."""


def stored_tensors(family: Family, config: GPTConfig) -> Iterator[Stored]:
    """Yield what a file of `family` holds for `config`, layer by layer; lazily, for n_layers may be a stranger's lie.

    Example:
        >>> config = GPTConfig(vocab_size=10, d_model=4, n_layers=1, n_heads=1)
        >>> tensors = {stored.name: stored for stored in stored_tensors("gpt2", config)}
        >>> tensors["transformer.h.0.attn.c_attn.weight"].shape
        (4, 12)
        >>> tensors["transformer.h.0.attn.c_attn.bias"].ours
        ('blocks.0.attention.query.bias', 'blocks.0.attention.key.bias', 'blocks.0.attention.value.bias')
    """
    assert config.vocab_size is not None
    table = (config.vocab_size, config.d_model)
    yield from _gpt2(config, table) if family == "gpt2" else _llama(config, table)
    if not config.tie_embeddings:
        yield Stored(HEAD, table, ("output.weight",))


def name_in_family(name: str, family: Family) -> str:
    """Return the name that `stored_tensors` gives what a file calls `name`: files of bare models leave the start out.

    Example:
        >>> name_in_family("wte.weight", "gpt2"), name_in_family("lm_head.weight", "gpt2")
        ('transformer.wte.weight', 'lm_head.weight')
    """
    start = _start(family)
    return name if name == HEAD or name.startswith(start) else start + name


def is_needless(name: str, config: GPTConfig) -> bool:
    """Say whether a tensor that `stored_tensors` does not name may be left unread: computed, or tied to another."""
    return (name == HEAD and config.tie_embeddings) or name.endswith(_TABLES)


def to_ours(stored: Stored, tensor: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Yield our parameters, by name, of one tensor of a file; in float32 where they must be laid out anew.

    Example:
        >>> stored = Stored("c_attn.weight", (1, 3), ("query", "key", "value"), transposed=True)
        >>> [(name, part.tolist()) for name, part in to_ours(stored, torch.tensor([[1.0, 2.0, 3.0]]))]
        [('query', [[1.0]]), ('key', [[2.0]]), ('value', [[3.0]])]
    """
    for name, part in zip(stored.ours, tensor.chunk(len(stored.ours), dim=-1), strict=True):
        part = part.T if stored.transposed else part
        if len(stored.ours) > 1 or not part.is_contiguous():
            # A part that shares the memory of the whole would keep it alive, and products want rows that lie together.
            # One copy, in the format that is kept: another one between would leave holes in the process' memory.
            part = torch.empty(part.shape, dtype=torch.float32).copy_(part)
        yield name, part


def from_ours(stored: Stored, parameters: Mapping[str, Tensor]) -> Tensor:
    """Return the tensor for a file; a view where it can be. A bias that our model does not have is zero.

    Example:
        >>> stored = Stored("c_fc.weight", (1, 2), ("up.weight",), transposed=True)
        >>> from_ours(stored, {"up.weight": torch.tensor([[1.0], [2.0]])}).tolist()
        [[1.0, 2.0]]
    """
    width = stored.shape[-1] // len(stored.ours)
    zeros = torch.zeros(*stored.shape[:-1], width)
    parts = [parameters.get(name, zeros if name.endswith(".bias") else None) for name in stored.ours]
    found = [part.T if stored.transposed and part.ndim == 2 else part for part in parts if part is not None]
    assert len(found) == len(parts), f"no {stored.ours} in the model"
    return found[0] if len(found) == 1 else torch.cat(found, dim=-1)


def _gpt2(config: GPTConfig, table: tuple[int, int]) -> Iterator[Stored]:
    start, D, F = _start("gpt2"), config.d_model, config.feed_forward_width
    yield Stored(f"{start}wte.weight", table, ("token_embedding.weight",))
    yield Stored(f"{start}wpe.weight", (config.context_length, D), ("position_embedding.weight",))
    shapes = {"attn.c_attn": (D, 3 * D), "attn.c_proj": (D, D), "mlp.c_fc": (D, F), "mlp.c_proj": (F, D)}
    for i in range(config.n_layers):
        for name, ours in _GPT2_LAYER.items():
            shape = shapes.get(name, (D,))
            weights, biases = (tuple(f"blocks.{i}.{one}.{kind}" for one in ours) for kind in ("weight", "bias"))
            yield Stored(f"{start}h.{i}.{name}.weight", shape, weights, transposed=len(shape) == 2)
            yield Stored(f"{start}h.{i}.{name}.bias", shape[-1:], biases)
    for kind in ("weight", "bias"):
        yield Stored(f"{start}ln_f.{kind}", (D,), (f"final_norm.{kind}",))


def _llama(config: GPTConfig, table: tuple[int, int]) -> Iterator[Stored]:
    start, D, F, K = _start("llama"), config.d_model, config.feed_forward_width, config.d_head
    d_kv = K * config.kv_heads
    out_and_in = {  # as nn.Linear has them; what is not here is a norm
        "attention.query": (D, D),
        "attention.key": (d_kv, D),
        "attention.value": (d_kv, D),
        "attention.output": (D, D),
        "feed_forward.gate": (F, D),
        "feed_forward.up": (F, D),
        "feed_forward.down": (D, F),
    }
    with_bias = {name for name in out_and_in if config.bias}
    qkv = {"attention.query", "attention.key", "attention.value"}
    with_bias = with_bias | qkv if config.has_qkv_bias else with_bias - qkv
    yield Stored(f"{start}embed_tokens.weight", table, ("token_embedding.weight",))
    for i in range(config.n_layers):
        for name, ours in _LLAMA_LAYER.items():
            if ours in ("attention.query_norm", "attention.key_norm"):
                shape: tuple[int, ...] = (K,)
                if not config.qk_norm:
                    continue
            else:
                shape = out_and_in.get(ours, (D,))
            yield Stored(f"{start}layers.{i}.{name}.weight", shape, (f"blocks.{i}.{ours}.weight",))
            if ours in with_bias:
                yield Stored(f"{start}layers.{i}.{name}.bias", shape[:1], (f"blocks.{i}.{ours}.bias",))
    yield Stored(f"{start}norm.weight", (D,), ("final_norm.weight",))


def _start(family: Family) -> str:
    return "transformer." if family == "gpt2" else "model."
