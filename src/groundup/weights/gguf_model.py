"""A GGUF file as a model to use: llama.cpp's names and layouts to ours, the tokenizer and the chat template with it."""

import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from torch import Tensor

from groundup.configs.model import GPTConfig
from groundup.quantization.convert import QuantizedLayer
from groundup.tokenization.gguf import bos_before, read_gguf_tokenizer, special_spellings
from groundup.weights.building import build_model
from groundup.weights.gguf import GGUFFile, TensorInfo
from groundup.weights.gguf_blocks import dequantize
from groundup.weights.gguf_config import config_of
from groundup.weights.pretrained import Pretrained

_MOST_THREADS = 8  # memory is the limit beyond

_WHOLE = {
    "token_embd": "token_embedding",
    "position_embd": "position_embedding",
    "output_norm": "final_norm",
    "output": "output",
}
_IN_BLOCK = {
    "attn_norm": "attention_norm",
    "attn_q": "attention.query",
    "attn_k": "attention.key",
    "attn_v": "attention.value",
    "attn_q_norm": "attention.query_norm",
    "attn_k_norm": "attention.key_norm",
    "attn_output": "attention.output",
    "ffn_norm": "feed_forward_norm",
    "ffn_gate": "feed_forward.gate",
    "ffn_up": "feed_forward.up",
    "ffn_down": "feed_forward.down",
}
_NAME = re.compile(r"(?:blk\.(?P<block>[0-9]+)\.)?(?P<part>\w+)\.(?P<kind>weight|bias)")


def load_gguf(path: Path) -> Pretrained:
    """Load the model in a GGUF file, in float32.

    Each tensor is widened straight into the memory that the model keeps, so the peak is the weights and little more.

    Raises:
        InputError: no such file, a damaged one, an architecture, a part of it, a number format or a tokenizer that is
            not read here: each by its name.
    """
    file = GGUFFile(path)
    config = config_of(file)
    return with_texts(file, config, lambda: _tensors(file, config))


def with_texts(
    file: GGUFFile, config: GPTConfig, tensors: Callable[[], Iterable[tuple[str, Tensor | QuantizedLayer]]]
) -> Pretrained:
    """Return the model of `tensors` with what the file says of texts; a file whose tokenizer is refused is not read."""
    tokenizer = read_gguf_tokenizer(file.metadata, file.path, vocab_size=config.vocab_size)
    template, licence = file.metadata.get("tokenizer.chat_template"), file.metadata.get("general.license")
    spelled = special_spellings(file.metadata, file.path)
    first = tokenizer.special_tokens.get(spelled.get("bos_token", ""))
    return Pretrained(
        model=build_model(config, tensors(), source=str(file.path)),
        tokenizer=tokenizer,
        source=str(file.path),
        chat_template=template if isinstance(template, str) else None,
        template_tokens=spelled,
        licence=licence if isinstance(licence, str) else None,
        bos=bos_before(file.metadata, file.path),
        opening=list if first is None else lambda: [first],
    )


def _tensors(file: GGUFFile, config: GPTConfig) -> Iterator[tuple[str, Tensor]]:
    """Yield the parameters under our names; several are widened at once, for each becomes one that the model keeps."""

    def widened(info: TensorInfo) -> list[tuple[str, Tensor]]:
        tensor = torch.from_numpy(dequantize(file.stored(info), info.block)).reshape(info.shape)
        file.forget(info)
        return in_our_order(info.name, tensor, config, is_llama=file.metadata["general.architecture"] == "llama")

    pool = ThreadPoolExecutor(min(torch.get_num_threads(), _MOST_THREADS))
    try:
        for named in pool.map(widened, file.tensors.values()):
            yield from named
    finally:  # whoever took them may have refused one: then the rest is not wanted
        pool.shutdown(cancel_futures=True)


def in_our_order(name: str, tensor: Tensor, config: GPTConfig, *, is_llama: bool) -> list[tuple[str, Tensor]]:
    """Return a tensor, or anything that lies in rows as it does, under our name with its rows in our order.

    GPT-2's queries, keys and values, which lie in one, become three. A name that is not known stays: `build_model`
    refuses it.

    Example:
        >>> in_our_order("blk.3.ffn_up.weight", torch.zeros(4, 2), GPTConfig(), is_llama=True)[0][0]
        'blocks.3.feed_forward.up.weight'
    """
    match = _NAME.fullmatch(name)
    if match is None:
        return [(name, tensor)]
    block, part, kind = match["block"], match["part"], match["kind"]
    if block is None:
        return [(f"{_WHOLE[part]}.{kind}" if part in _WHOLE else name, tensor)]
    if part == "attn_qkv":
        rows = tensor.chunk(3)
        return [
            (f"blocks.{block}.attention.{ours}.{kind}", row.clone())
            for ours, row in zip(("query", "key", "value"), rows, strict=False)
        ]
    if part not in _IN_BLOCK:
        return [(name, tensor)]
    if is_llama and part in ("attn_q", "attn_k"):
        tensor = _as_halves(tensor, config.n_heads if part == "attn_q" else config.kv_heads)
    return [(f"blocks.{block}.{_IN_BLOCK[part]}.{kind}", tensor)]


def _as_halves(rows: Tensor, n_heads: int) -> Tensor:
    """Return the rows of queries or keys in our order: llama.cpp pairs neighbours for the rotation, `GPT` halves.

    Example:
        >>> _as_halves(torch.tensor([0, 2, 1, 3]), n_heads=1).tolist()
        [0, 1, 2, 3]
    """
    if len(rows) % (2 * n_heads):
        return rows  # another size than the config says: `build_model` refuses it
    pairs = rows.reshape(n_heads, -1, 2, *rows.shape[1:])  # [H, K/2, 2, …]
    return pairs.transpose(1, 2).reshape(rows.shape)
