"""GGUF files in the bits they have: the numbers are those that the `gguf` package reads, nothing is rounded anew."""

from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from tests.weights.gguf_files import KINDS, N_TOKENS, byte_level, llama_tensors, sizes, write
from torch import Tensor

from groundup.errors import InputError
from groundup.quantization.convert import quantized_layers
from groundup.resolve import open_model
from groundup.weights.gguf_model import load_gguf
from groundup.weights.gguf_packed import load_gguf_packed
from groundup.weights.installed import installed_smollm2

FEW_BITS = [KINDS.Q4_0, KINDS.Q4_1, KINDS.Q8_0]
TOKENS = torch.tensor([[1, 2, 3, 250, 5]])


def gpt2_tensors() -> dict[str, np.ndarray]:
    draw = np.random.default_rng(0)
    shapes: dict[str, tuple[int, ...]] = {"attn_qkv": (96, 32), "attn_output": (32, 32), "ffn_up": (64, 32)}
    shapes |= {"ffn_down": (32, 64), "attn_norm": (32,), "ffn_norm": (32,)}
    tensors = {"token_embd.weight": (N_TOKENS, 32), "position_embd.weight": (32, 32), "output_norm.weight": (32,)}
    tensors |= {"output_norm.bias": (32,)}
    tensors |= {f"blk.{i}.{name}.weight": shape for i in range(2) for name, shape in shapes.items()}
    tensors |= {f"blk.{i}.{name}.bias": shape[:1] for i in range(2) for name, shape in shapes.items()}
    return {name: draw.standard_normal(shape) for name, shape in tensors.items()}


def a_file(path: Path, architecture: str, kind: KINDS) -> Path:
    tensors = gpt2_tensors() if architecture == "gpt2" else llama_tensors()
    return write(path, architecture, sizes(architecture) | byte_level(), tensors, kind)


@pytest.mark.parametrize("kind", FEW_BITS)
@pytest.mark.parametrize("architecture", ["llama", "qwen2", "gpt2"])
def test_the_numbers_are_those_of_the_file_in_float32(tmp_path: Path, architecture: str, kind: KINDS):
    path = a_file(tmp_path / "model.gguf", architecture, kind)
    packed, floats = load_gguf_packed(path), load_gguf(path)
    layers = quantized_layers(packed.model)
    assert len(layers) == (13 if architecture == "gpt2" else 15)
    for name, layer in layers.items():
        place = floats.model.get_submodule(name)
        assert torch.equal(layer.dequantized(), place.weight), name
        assert type(layer.kept).__name__ == ("Int8" if kind == KINDS.Q8_0 else "Int4")
    others = dict(floats.model.named_parameters())
    assert all(torch.equal(parameter, others[name]) for name, parameter in packed.model.named_parameters())
    with torch.inference_mode():
        assert torch.equal(packed.model(TOKENS), floats.model(TOKENS))
    assert packed.model.n_parameters() == floats.model.n_parameters()
    assert (packed.tokenizer.encode("the 12"), packed.bos, packed.source) == (
        floats.tokenizer.encode("the 12"), floats.bos, str(path),
    )  # fmt: skip


@pytest.mark.parametrize("kind", FEW_BITS)
def test_a_table_is_what_the_gguf_package_reads(tmp_path: Path, kind: KINDS):
    path = a_file(tmp_path / "model.gguf", "qwen2", kind)  # whose rows lie as ours
    read = {tensor.name: tensor for tensor in gguf.GGUFReader(path).tensors}
    layers = quantized_layers(load_gguf_packed(path).model)
    for ours, theirs in (("token_embedding", "token_embd"), ("blocks.1.feed_forward.down", "blk.1.ffn_down")):
        stored = read[f"{theirs}.weight"]
        expected = gguf.dequantize(stored.data, stored.tensor_type)
        assert torch.equal(layers[ours].dequantized(), torch.from_numpy(expected))


@pytest.mark.parametrize("kind", [KINDS.F16, KINDS.F32, KINDS.BF16])
def test_plain_numbers_become_float32(tmp_path: Path, kind: KINDS):
    path = a_file(tmp_path / "model.gguf", "llama", kind)
    packed = load_gguf_packed(path).model
    assert not quantized_layers(packed)
    with torch.inference_mode():
        assert torch.equal(packed(TOKENS), load_gguf(path).model(TOKENS))


def test_a_scale_of_which_eight_are_beyond_float16_becomes_float32(tmp_path: Path):
    tensors = llama_tensors()
    tensors["blk.0.ffn_down.weight"][0, :32] = np.linspace(-65_000, 65_000, 32)  # a scale of 8,125 fits, one of 8,200:
    tensors["blk.1.ffn_down.weight"][0, :32] = np.linspace(-65_600, 65_600, 32)
    path = write(tmp_path / "model.gguf", "llama", sizes("llama") | byte_level(), tensors, KINDS.Q4_0)
    layers, floats = quantized_layers(load_gguf_packed(path).model), load_gguf(path).model
    assert "blocks.1.feed_forward.down" not in layers
    weight: Tensor = floats.blocks[0].feed_forward.down.weight
    assert torch.equal(layers["blocks.0.feed_forward.down"].dequantized(), weight)


def test_what_load_gguf_refuses_is_refused(tmp_path: Path):
    tensors = llama_tensors()
    for change, told in (({"blk.0.nonsense.weight": tensors["blk.0.attn_q.weight"]}, "nonsense"), ({}, "attn_norm")):
        named = {name: t for name, t in tensors.items() if change or name != "blk.1.attn_norm.weight"} | change
        path = write(tmp_path / "model.gguf", "llama", sizes("llama") | byte_level(), named, KINDS.Q4_1)
        with pytest.raises(InputError) as caught:
            load_gguf_packed(path)
        assert told.replace("attn_norm", "attention_norm") in str(caught.value)
        assert "\n" not in str(caught.value)


def test_open_model_packs_if_asked(tmp_path: Path):
    path = a_file(tmp_path / "model.gguf", "llama", KINDS.Q4_1)
    assert quantized_layers(open_model(str(path), packed=True).model)
    assert not quantized_layers(open_model(str(path)).model)


@pytest.mark.slow
@pytest.mark.skipif(installed_smollm2() is None, reason="needs SmolLM2, which make model installs")
def test_smollm2_gives_the_same_logits():
    path = installed_smollm2()
    assert path is not None
    packed, floats = load_gguf_packed(path).model, load_gguf(path).model
    with torch.inference_mode():
        assert torch.equal(packed(TOKENS), floats(TOKENS))
    assert sum(layer.n_bytes for layer in quantized_layers(packed).values()) < 97e6
