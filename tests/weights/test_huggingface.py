"""Folders that `transformers` saved load here with its logits, one tensor at a time, and bad ones are named."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from groundup.errors import InputError
from groundup.tokenization import END_OF_TEXT, ByteBPE
from groundup.weights.huggingface import load_huggingface

# Float32 logits of size 6: 2e-6 was seen for GPT-2, whose Conv1D sums in another order, and 0 for the others.
BOUND = 1e-5
V = 261
SIZES = {
    "vocab_size": V, "hidden_size": 48, "intermediate_size": 80, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 64, "initializer_range": 0.2, "bos_token_id": None,
    "eos_token_id": 259,
}  # fmt: skip
GPT2 = {
    "vocab_size": V, "n_positions": 64, "n_embd": 48, "n_layer": 3, "n_head": 4, "initializer_range": 0.2,
    "bos_token_id": 259, "eos_token_id": 259,
}  # fmt: skip
MODELS = {
    "gpt2": lambda: GPT2LMHeadModel(GPT2Config(**GPT2)),
    "gpt2, untied": lambda: GPT2LMHeadModel(GPT2Config(**GPT2, tie_word_embeddings=False)),
    "gpt2, relu squared": lambda: GPT2LMHeadModel(GPT2Config(**GPT2, activation_function="relu2", n_inner=20)),
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SIZES)),
    "llama, tied": lambda: LlamaForCausalLM(LlamaConfig(**SIZES, tie_word_embeddings=True)),
    "llama, biases": lambda: LlamaForCausalLM(LlamaConfig(**SIZES, attention_bias=True, mlp_bias=True)),
    "mistral": lambda: MistralForCausalLM(MistralConfig(**SIZES, sliding_window=None)),
    "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**SIZES)),
    "qwen3": lambda: Qwen3ForCausalLM(Qwen3Config(**SIZES, head_dim=12)),
}
TOKENS = torch.randint(V, (2, 40), generator=torch.Generator().manual_seed(0))


def byte_bpe() -> ByteBPE:
    return ByteBPE([(b"t", b"h"), (b"th", b"e"), (b" ", b"the")], [END_OF_TEXT, "<|im_end|>"])


def made(name: str) -> Any:
    """A model of `transformers` with every weight off its initial value: biases of 0 and norms of 1 would hide."""
    torch.manual_seed(0)
    theirs = MODELS[name]().eval()
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.02)
    return theirs


def saved(folder: Path, name: str = "gpt2", **options: Any) -> Any:
    theirs = made(name)
    theirs.save_pretrained(folder, **options)
    byte_bpe().save(folder / "tokenizer.json")
    return theirs


def apart(folder: Path, theirs: Any) -> float:
    with torch.inference_mode():
        return float((load_huggingface(folder).model(TOKENS) - theirs(TOKENS).logits).abs().max())


def change(folder: Path, file: str, **fields: object) -> None:
    path = folder / file
    document = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(document | fields))


def refuse(folder: Path, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        load_huggingface(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", MODELS)
def test_logits_are_transformers(name: str, tmp_path: Path):
    theirs = saved(tmp_path, name)
    assert apart(tmp_path, theirs) <= BOUND
    assert load_huggingface(tmp_path).model.n_parameters() == theirs.num_parameters()


def test_a_model_in_parts_is_the_same_model(tmp_path: Path):
    theirs = saved(tmp_path, "llama", max_shard_size="60KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 2
    assert apart(tmp_path, theirs) <= BOUND


def test_a_model_in_bfloat16_is_widened(tmp_path: Path):
    torch.manual_seed(0)
    MODELS["llama"]().bfloat16().save_pretrained(tmp_path)
    byte_bpe().save(tmp_path / "tokenizer.json")
    ours = load_huggingface(tmp_path).model
    assert ours.token_embedding.weight.dtype == torch.float32
    # Read again: .float() would leave its rotary frequencies rounded to bfloat16.
    assert apart(tmp_path, LlamaForCausalLM.from_pretrained(tmp_path, dtype=torch.float32).eval()) <= BOUND


def test_an_old_file_of_a_bare_model_with_its_tables_loads(tmp_path: Path):
    """As the hub's gpt2: no "transformer." before the names, masks as tensors, a tied head that is stored."""
    theirs = saved(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    bare = {name.removeprefix("transformer."): tensor for name, tensor in tensors.items()}
    for i in range(3):
        bare[f"h.{i}.attn.bias"] = torch.ones(1, 1, 64, 64).tril()
        bare[f"h.{i}.attn.masked_bias"] = torch.tensor(-1e4)
    bare["lm_head.weight"] = bare["wte.weight"].clone()
    (tmp_path / "model.safetensors").unlink()
    torch.save(bare, tmp_path / "pytorch_model.bin")
    assert apart(tmp_path, theirs) <= BOUND
    save_file(bare, tmp_path / "model.safetensors")
    assert apart(tmp_path, theirs) <= BOUND


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"n_layer": 10**12}, r"expected transformer.h.3.ln_1.weight in .*, found no such tensor"),
        ({"n_layer": 2}, "found transformer.h.2.attn.c_attn.bias besides"),
        ({"n_embd": 4 * 10**12}, r"expected transformer.wte.weight of shape \(261, 4000000000000\)"),
        ({"vocab_size": 10**12}, "expected transformer.wte.weight of shape"),
        ({"n_positions": 10**12}, "expected transformer.wpe.weight of shape"),
        ({"n_inner": 10**12}, "expected transformer.h.0.mlp.c_fc.weight of shape"),
        ({"tie_word_embeddings": False}, "expected lm_head.weight in .*, found no such tensor"),
        ({"model_type": "llama"}, "expected the architecture LlamaForCausalLM"),
    ],
)
def test_a_config_that_asks_for_more_than_the_file_has_is_refused(fields: dict[str, object], said: str, tmp_path: Path):
    saved(tmp_path)
    change(tmp_path, "config.json", **fields)
    refuse(tmp_path, said)


def test_a_context_whose_tables_are_absurd_is_refused(tmp_path: Path):
    saved(tmp_path, "llama")
    change(tmp_path, "config.json", max_position_embeddings=10**12)
    refuse(tmp_path, "found max_position_embeddings 1000000000000, which takes 48,000,000,000,000")


def test_a_tensor_under_two_names_is_refused(tmp_path: Path):
    saved(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    save_file(tensors | {"wte.weight": torch.ones(V, 48)}, tmp_path / "model.safetensors")
    refuse(tmp_path, "found (transformer.)?wte.weight twice")


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_missing_file_is_named(name: str, tmp_path: Path):
    saved(tmp_path)
    (tmp_path / name).unlink()
    change(tmp_path, "config.json") if name == "tokenizer.json" else None
    refuse(tmp_path, name)


@pytest.mark.parametrize("content", ["", "[1]", "{", "[" * 100_000, '{"a": "\\ud800' + "9" * 9999, "\xff"])
def test_a_damaged_config_is_named(content: str, tmp_path: Path):
    saved(tmp_path)
    (tmp_path / "config.json").write_bytes(content.encode("latin-1"))
    refuse(tmp_path, "config.json")


def test_no_folder_and_a_vocabulary_too_large_are_named(tmp_path: Path):
    refuse(tmp_path / "nowhere", "expected a folder with a model at")
    saved(tmp_path)
    ByteBPE([], [END_OF_TEXT, *map(str, range(10, 20))]).save(tmp_path / "tokenizer.json")
    refuse(tmp_path, "expected a tokenizer of at most 261 tokens, as the model has, found 267")


def test_what_belongs_to_the_model_comes_with_it(tmp_path: Path):
    saved(tmp_path)
    (tmp_path / "README.md").write_text("---\nlanguage: en\nlicense: apache-2.0\ntags:\n- x\n---\nlicense: mit\n")
    change(
        tmp_path, "tokenizer_config.json", bos_token={"content": END_OF_TEXT}, pad_token="<|im_end|>", unk_token=None
    )
    change(tmp_path, "tokenizer_config.json", chat_template="{{ messages }}")
    found = load_huggingface(tmp_path)
    assert found.licence == "apache-2.0"
    assert found.chat_template == "{{ messages }}"
    assert found.template_tokens == {"bos_token": END_OF_TEXT, "pad_token": "<|im_end|>", "eos_token": END_OF_TEXT}
    assert found.opening() == [259]
    assert found.source == str(tmp_path)
    assert not found.model.training
    (tmp_path / "chat_template.jinja").write_text("the file")
    assert load_huggingface(tmp_path).chat_template == "the file"
    (tmp_path / "chat_template.jinja").unlink()
    several = [{"name": "tools", "template": "t"}, {"name": "default", "template": "d"}]
    change(tmp_path, "tokenizer_config.json", chat_template=several)
    assert load_huggingface(tmp_path).chat_template == "d"
    (tmp_path / "README.md").write_text("# no header\nlicense: mit\n---\n")
    assert load_huggingface(tmp_path).licence is None
    (tmp_path / "README.md").write_text("---" + "\n" * 65_000)  # minutes, were it searched anew from each line
    assert load_huggingface(tmp_path).licence is None


# VmHWM, not getrusage: that starts with the peak of the process which this one was forked from.
PEAK = """
import sys
from pathlib import Path
from groundup.weights.huggingface import load_huggingface
def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
before = peak()
found = load_huggingface(Path(sys.argv[1]))
print((peak() - before) / (4 * found.model.n_parameters()))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of a process is read from Linux' /proc")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_loading_takes_the_weights_once(family: str, dtype: torch.dtype, tmp_path: Path):
    """At 124 and 134 million parameters, in a fresh process: what it takes more of memory, at its peak."""
    if family == "gpt2":
        theirs: Any = GPT2LMHeadModel(GPT2Config())
    else:
        theirs = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=49_152, hidden_size=576, intermediate_size=1_536, num_hidden_layers=30,
                num_attention_heads=9, num_key_value_heads=3, max_position_embeddings=8_192, tie_word_embeddings=True,
            )
        )  # fmt: skip
    theirs.to(dtype).save_pretrained(tmp_path)
    byte_bpe().save(tmp_path / "tokenizer.json")
    ran = subprocess.run([sys.executable, "-c", PEAK, str(tmp_path)], capture_output=True, text=True, check=True)
    print(f"{family}, {dtype}: {float(ran.stdout):.3f} times the weights")  # pytest -s
    # 1.02 to 1.06 were seen: once, and a tensor of the file; below 0.9 nothing would have been measured
    assert 0.9 < float(ran.stdout) <= 1.15


@pytest.mark.slow
def test_gpt2_of_124_million_parameters_from_a_folder(tmp_path: Path):
    torch.manual_seed(0)
    theirs = GPT2LMHeadModel(GPT2Config()).eval()
    theirs.save_pretrained(tmp_path)
    byte_bpe().save(tmp_path / "tokenizer.json")
    ours = load_huggingface(tmp_path).model
    tokens = torch.randint(50_257, (1, 64))
    with torch.inference_mode():
        difference = (ours(tokens) - theirs(tokens).logits).abs().max()
    assert ours.n_parameters() == 124_439_808
    assert difference <= 1e-4  # 3e-6 was seen, of logits up to 4: GPT-2 sums in another order
