"""What we write, `transformers` loads: equal logits, equal ids; whole or not at all."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from groundup.configs.model import GPTConfig
from groundup.errors import InputError
from groundup.models.gpt import GPT
from groundup.tokenization import END_OF_TEXT, ByteBPE, CharacterTokenizer, FastTokenizer, Tokenizer
from groundup.tokenization.added import with_end_token, with_special_tokens
from groundup.weights import huggingface_export
from groundup.weights.huggingface import load_huggingface
from groundup.weights.huggingface_export import largest_logit_difference, save_huggingface

# Float32 logits of size 6: 2e-6 was seen for GPT-2, whose Conv1D sums in another order, and 0 for the others.
BOUND = 1e-5
GPT2 = GPTConfig(vocab_size=261, context_length=64, d_model=48, n_layers=2, n_heads=4)
LLAMA = replace(
    GPT2, n_kv_heads=2, d_ff=80, position="rotary", norm="rms", activation="swiglu", bias=False, rotary_base=5e5
)
CONFIGS = {
    "gpt2": GPT2,
    "gpt2, no bias": replace(GPT2, bias=False),
    "gpt2, gelu, untied": replace(GPT2, activation="gelu", tie_embeddings=False),
    "gpt2, relu squared": replace(GPT2, activation="relu_squared", d_ff=20),
    "llama": LLAMA,
    "llama, biases, untied": replace(LLAMA, bias=True, tie_embeddings=False),
    "qwen2": replace(LLAMA, qkv_bias=True),
    "qwen3": replace(LLAMA, qk_norm=True),
}
TEXTS = ["the other the", " the  two spaces\n", "naïve 東京 🙂", "<|endoftext|>the<|im_end|>"]


def byte_bpe() -> ByteBPE:
    return ByteBPE([(b"t", b"h"), (b"th", b"e"), (b" ", b"the")], [END_OF_TEXT, "<|im_end|>"])


def model(config: GPTConfig = GPT2) -> GPT:
    torch.manual_seed(0)
    found = GPT(config).eval()
    with torch.no_grad():
        for parameter in found.parameters():  # every one off its initial value; wide, so that errors show
            parameter.add_(torch.randn_like(parameter), alpha=0.2)
    return found


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_transformers_loads_it_with_equal_logits(config: GPTConfig, tmp_path: Path):
    ours, folder = model(config), tmp_path / "out"
    save_huggingface(ours, byte_bpe(), folder)
    theirs, info = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
    assert not any(info.values()), info  # no name missing, none left over
    tokens = torch.randint(261, (2, 40))
    with torch.inference_mode():
        assert (theirs.eval()(tokens).logits - ours(tokens)).abs().max() <= BOUND
    assert theirs.config.eos_token_id == theirs.generation_config.eos_token_id == 259
    assert largest_logit_difference(ours, load_huggingface(folder).model) == 0


def characters() -> Tokenizer:
    return CharacterTokenizer("".join(sorted(set("".join(TEXTS)))))


@pytest.mark.parametrize("kind", ["by hand", "fast", "published", "characters", "characters and more"])
def test_transformers_loads_the_tokenizer_with_equal_ids(kind: str, tmp_path: Path):
    tokenizer: Tokenizer = {
        "by hand": byte_bpe,
        "fast": lambda: FastTokenizer(byte_bpe()),
        "published": lambda: with_end_token(byte_bpe(), "<|im_end|>"),
        "characters": characters,
        "characters and more": lambda: with_special_tokens(characters(), [END_OF_TEXT]),
    }[kind]()
    save_huggingface(model(), tokenizer, tmp_path / "out")
    theirs, back = AutoTokenizer.from_pretrained(tmp_path / "out"), load_huggingface(tmp_path / "out").tokenizer
    assert theirs.eos_token_id == tokenizer.end_id == back.end_id
    for text in TEXTS:
        expected = tokenizer.encode(text, allow_special=True)
        assert theirs(text)["input_ids"] == theirs.encode(text, add_special_tokens=False) == expected
        assert back.encode(text, allow_special=True) == expected
        assert theirs.decode(expected) == tokenizer.decode(expected) == back.decode(expected)
    assert theirs.model_max_length == 64


def test_what_belongs_to_the_model_goes_with_it(tmp_path: Path):
    template = "{% for m in messages %}{{ m['content'] }}{{ eos_token }}{% endfor %}"
    spelled = {"bos_token": END_OF_TEXT, "pad_token": "<|im_end|>", "unk_token": END_OF_TEXT}
    save_huggingface(
        model(), byte_bpe(), tmp_path / "out", chat_template=template, template_tokens=spelled, licence="Apache-2.0"
    )
    found, theirs = load_huggingface(tmp_path / "out"), AutoTokenizer.from_pretrained(tmp_path / "out")
    assert (found.chat_template, found.licence) == (template, "apache-2.0")
    assert found.template_tokens == spelled | {"eos_token": END_OF_TEXT}
    assert theirs.apply_chat_template([{"role": "user", "content": "hi"}], tokenize=False) == "hi<|endoftext|>"
    assert (theirs.bos_token_id, theirs.pad_token_id) == (259, 260)
    config = json.loads((tmp_path / "out/config.json").read_text())
    assert (config["bos_token_id"], config["eos_token_id"], config["pad_token_id"]) == (259, 259, 260)


def test_a_model_without_an_end_of_text_has_none_there(tmp_path: Path):
    save_huggingface(model(), characters(), tmp_path / "out")
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "out").config.eos_token_id is None
    assert load_huggingface(tmp_path / "out").tokenizer.end_id is None


def test_training_goes_on_where_it_was(tmp_path: Path):
    ours = model().train()
    save_huggingface(ours.bfloat16(), byte_bpe(), tmp_path / "out")
    assert ours.training
    assert next(ours.parameters()).dtype == torch.bfloat16
    assert load_huggingface(tmp_path / "out").model.token_embedding.weight.dtype == torch.float32


def test_a_model_of_no_family_is_refused_and_nothing_is_written(tmp_path: Path):
    with pytest.raises(InputError, match="found position=sinusoidal"):
        save_huggingface(model(replace(GPT2, position="sinusoidal")), byte_bpe(), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_use_stays_as_it_is_and_an_empty_one_is_taken(tmp_path: Path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for name in ("full", "file"):
        with pytest.raises(InputError, match=r"expected a new or empty folder to write to, found .* in use"):
            save_huggingface(model(), byte_bpe(), tmp_path / name)
    assert (tmp_path / "full/mine.txt").read_text() == (tmp_path / "file").read_text() == "mine"
    (tmp_path / "empty").mkdir()
    save_huggingface(model(), byte_bpe(), tmp_path / "empty")
    assert (tmp_path / "empty/config.json").is_file()


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(huggingface_export, "save_file", full)
    with pytest.raises(InputError, match="found: No space left on device; make room"):
        save_huggingface(model(), byte_bpe(), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_models_of_different_vocabularies_are_not_compared():
    with pytest.raises(InputError, match="found 261 and 262 tokens"):
        largest_logit_difference(model(), model(replace(GPT2, vocab_size=262)))
