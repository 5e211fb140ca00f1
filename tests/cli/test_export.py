"""`groundup export`: what transformers, llama.cpp and onnxruntime load, with the difference measured."""

import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from groundup.cli.export import command
from groundup.configs.model import GPTConfig
from groundup.errors import InputError
from groundup.models.gpt import GPT
from groundup.tokenization import CharacterTokenizer
from groundup.tokenization.bpe import ByteBPE
from groundup.weights.huggingface_export import save_huggingface


@pytest.fixture
def source(tmp_path: Path) -> Path:
    model = GPT(GPTConfig(vocab_size=3, context_length=8, d_model=16, n_layers=1, n_heads=2))
    save_huggingface(model, CharacterTokenizer("abc"), tmp_path / "source")
    return tmp_path / "source"


def test_it_writes_what_transformers_loads_and_says_what_is_next(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out = tmp_path / "out"
    assert command([str(source), "--to", "hf", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert f"wrote {out}: GPT2LMHeadModel, 3,488 parameters" in said
    assert "largest difference of a logit 0.0e+00" in said
    assert f'next: transformers.AutoModelForCausalLM.from_pretrained("{out}")' in said
    assert f"groundup generate {out} PROMPT" in said
    one, other = (AutoModelForCausalLM.from_pretrained(folder).eval() for folder in (source, out))
    with torch.inference_mode():
        assert torch.equal(one(torch.tensor([[0, 1]])).logits, other(torch.tensor([[0, 1]])).logits)


def test_a_folder_in_use_is_refused(source: Path):
    with pytest.raises(InputError, match="expected a new or empty folder"):
        command([str(source), "--out", str(source)])


def test_a_folder_to_write_must_be_named(source: Path):
    with pytest.raises(InputError, match="--out"):
        command([str(source)])


@pytest.fixture
def with_bytes(tmp_path: Path) -> Path:
    model = GPT(GPTConfig(vocab_size=258, context_length=8, d_model=32, n_layers=1, n_heads=2))
    save_huggingface(model, ByteBPE([(b"l", b"o")], ["<|endoftext|>"]), tmp_path / "bytes")
    return tmp_path / "bytes"


@pytest.mark.parametrize(
    ("options", "kind", "least", "most"),
    [
        (["--type", "f32"], "f32", 0.0, 0.0),
        (["--type", "auto"], "f16", 1e-9, 1e-3),
        ([], "f16", 1e-9, 1e-3),  # half of a step of float16, 2^-12 of a weight, over sums of 32
        (["--type", "q4_0"], "q4_0", 1e-5, 1.0),
    ],
)
def test_gguf_is_read_back(
    with_bytes: Path, capsys: pytest.CaptureFixture[str], options: list[str], kind: str, least: float, most: float
):
    out = with_bytes.with_name("x.gguf")
    assert command([str(with_bytes), "--to", "gguf", "--out", str(out), *options]) == 0
    said = capsys.readouterr().out
    assert f"wrote {out}: gpt2 in {kind}, 21,280 parameters, " in said
    assert least <= float(said.split("largest difference of a logit ")[1].split()[0]) <= most
    assert f"next: llama-cli --model {out}" in said
    assert f"groundup generate {out} PROMPT" in said


def test_the_help_says_the_default_in_words(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        command(["--help"])
    said = capsys.readouterr().out
    assert "(default: auto)" in said
    assert "None" not in said


def test_onnx_is_run(source: Path, capsys: pytest.CaptureFixture[str]):
    out = source.with_name("x.onnx")
    assert command([str(source), "--to", "onnx", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert f"wrote {out}: tokens [B, T] to logits [B, T, V], 3,488 parameters" in said
    assert float(said.split("largest difference of a logit ")[1].split()[0]) < 1e-6
    assert "onnxruntime.InferenceSession" in said


def test_onnx_without_the_runtime_says_so(
    source: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert command([str(source), "--to", "onnx", "--out", str(source.with_name("x.onnx"))]) == 0
    assert "not read back: that needs onnxruntime (pip install 'groundup[onnx]')" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--to", "hf", "--type", "q4_0"], "expected --type with --to gguf, found it with --to hf"),
        (["--to", "onnx", "--type", "f32"], "expected --type with --to gguf, found it with --to onnx"),
        (["--to", "gguf", "--type", "q3_k"], "q3_k"),
        (["--to", "tflite"], "tflite"),
        (["--to", "gguf"], "expected a tokenizer that GGUF can hold"),
    ],
)
def test_wrong_uses_are_named_and_leave_nothing(source: Path, options: list[str], said: str):
    out = source.with_name("out")
    with pytest.raises(InputError, match=said):
        command([str(source), "--out", str(out), *options])
    assert not out.exists()


def test_a_file_in_use_is_refused(with_bytes: Path):
    out = with_bytes.with_name("mine")
    out.write_text("mine")
    for to in ("gguf", "onnx"):
        with pytest.raises(InputError, match="expected a new file to write to"):
            command([str(with_bytes), "--to", to, "--out", str(out)])
    assert out.read_text() == "mine"


def test_an_unknown_model_is_named(tmp_path: Path):
    with pytest.raises(InputError, match="nothing called 'no-such-model'"):
        command(["no-such-model", "--to", "gguf", "--out", str(tmp_path / "x.gguf")])
