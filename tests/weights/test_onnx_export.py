"""ONNX files run by onnxruntime against the model: every part that a GPTConfig names, any number of rows and tokens."""

import errno
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor

from groundup.configs.model import GPTConfig
from groundup.errors import InputError
from groundup.models.gpt import GPT
from groundup.quantization.embedding import QuantizedEmbedding
from groundup.quantization.int4 import quantize_int4
from groundup.quantization.int4_linear import Int4Linear
from groundup.quantization.int8 import quantize_int8
from groundup.tokenization import CharacterTokenizer
from groundup.weights import onnx_export
from groundup.weights.onnx_export import largest_onnx_difference, save_onnx
from groundup.weights.onnx_graph import Graph
from groundup.weights.pretrained import Pretrained

SIZES: dict[str, Any] = {"vocab_size": 50, "context_length": 16, "d_model": 32, "n_layers": 2, "n_heads": 4}
LLAMA: dict[str, Any] = SIZES | {
    "position": "rotary", "norm": "rms", "activation": "swiglu", "bias": False, "n_kv_heads": 2,
}  # fmt: skip
CONFIGS = {
    "gpt2": GPTConfig(**SIZES),
    "gpt2 without biases": GPTConfig(**SIZES, bias=False, tie_embeddings=False),
    "llama": GPTConfig(**LLAMA),
    "qwen2": GPTConfig(**LLAMA, qkv_bias=True),
    "qwen3": GPTConfig(**LLAMA, qk_norm=True, tie_embeddings=False),
    "2017": GPTConfig(**SIZES, position="sinusoidal", norm_order="post", activation="relu"),
    "exact gelu": GPTConfig(**SIZES, activation="gelu", qk_norm=True),
    "relu squared": GPTConfig(**SIZES, activation="relu_squared", norm="rms"),
}


def found(config: GPTConfig) -> Pretrained:
    torch.manual_seed(0)
    model = GPT(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape) * 0.2)
    return Pretrained(model=model, tokenizer=CharacterTokenizer("abc"), source="tiny", licence="mit")


def run(path: Path, tokens: Tensor) -> Tensor:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(["logits"], {"tokens": tokens.numpy()})[0])


@pytest.mark.parametrize("name", CONFIGS)
def test_onnxruntime_gives_the_same_logits(tmp_path: Path, name: str):
    one = found(CONFIGS[name])
    save_onnx(one, tmp_path / "x.onnx")
    onnx.checker.check_model(tmp_path / "x.onnx", full_check=True)
    session = onnxruntime.InferenceSession(tmp_path / "x.onnx", providers=["CPUExecutionProvider"])
    for shape in ((1, 1), (2, 7), (3, 16)):
        tokens = torch.randint(50, shape)
        logits = torch.from_numpy(session.run(["logits"], {"tokens": tokens.numpy()})[0])
        with torch.inference_mode():
            expected = one.model(tokens)
        # float32, with sums taken in another order; logits are of size 1 to 30
        assert (logits - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_weights_lie_under_our_names_once(tmp_path: Path):
    one = found(CONFIGS["llama"])
    save_onnx(one, tmp_path / "x.onnx")
    proto = onnx.load(tmp_path / "x.onnx")
    stored = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}
    for name, parameter in one.model.named_parameters():
        assert torch.equal(torch.from_numpy(stored[name].copy()), parameter.detach())
    n_bytes = 4 * sum(parameter.numel() for parameter in one.model.parameters())
    assert (tmp_path / "x.onnx").stat().st_size < n_bytes + 40_000  # what a node takes: some 100 bytes
    told = {prop.key: prop.value for prop in proto.metadata_props}
    assert told == {"context_length": "16", "vocab_size": "50", "license": "mit"}


def test_large_models_lie_in_two_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    one = found(CONFIGS["gpt2"])
    monkeypatch.setattr(onnx_export, "LARGEST_FILE", 1000)
    save_onnx(one, tmp_path / "x.onnx")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.onnx", "x.onnx.data"]
    assert (tmp_path / "x.onnx").stat().st_size < 40_000
    difference = largest_onnx_difference(one.model, tmp_path / "x.onnx")
    assert difference is not None
    assert difference < 1e-4  # as above


def test_a_model_in_few_bits_is_widened(tmp_path: Path):
    one = found(CONFIGS["gpt2"])
    up = one.model.blocks[1].feed_forward.up
    one.model.blocks[1].feed_forward.up = Int4Linear(quantize_int4(up.weight, group_size=32), up.bias)
    one.model.token_embedding = QuantizedEmbedding(quantize_int8(one.model.token_embedding.weight))
    save_onnx(one, tmp_path / "x.onnx")
    tokens = torch.randint(50, (2, 5))
    with torch.inference_mode():
        torch.testing.assert_close(run(tmp_path / "x.onnx", tokens), one.model(tokens), atol=1e-4, rtol=1e-5)


def test_more_tokens_than_the_context_fail(tmp_path: Path):
    for name in ("gpt2", "llama"):
        save_onnx(found(CONFIGS[name]), tmp_path / f"{name}.onnx")
        session = onnxruntime.InferenceSession(tmp_path / f"{name}.onnx", _quiet(), providers=["CPUExecutionProvider"])
        with pytest.raises(Exception, match="broadcast"):
            session.run(["logits"], {"tokens": torch.zeros(1, 17, dtype=torch.int64).numpy()})


def _quiet() -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    return options


def test_what_is_there_stays(tmp_path: Path):
    for name in ("x.onnx", "x.onnx.data"):
        (tmp_path / name).write_text("mine")
        with pytest.raises(InputError, match=f"expected a new file to write to, found .*{name} in use"):
            save_onnx(found(CONFIGS["gpt2"]), tmp_path / "x.onnx")
        assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]
        (tmp_path / name).unlink()


def test_of_two_processes_that_write_at_once_the_first_to_end_has_the_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    ours, write = found(CONFIGS["gpt2"]), onnx_export._write

    def write_after_another(*how: Any) -> None:
        monkeypatch.setattr(onnx_export, "_write", write)
        with monkeypatch.context() as another:
            another.setattr("os.getpid", lambda: 1)
            save_onnx(found(CONFIGS["llama"]), tmp_path / "x.onnx")
        write(*how)

    monkeypatch.setattr(onnx_export, "_write", write_after_another)
    with pytest.raises(InputError, match=r"found .*x\.onnx in use"):
        save_onnx(ours, tmp_path / "x.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["x.onnx"]
    assert largest_onnx_difference(found(CONFIGS["llama"]).model, tmp_path / "x.onnx") < 1e-4  # as above


@pytest.mark.parametrize("other", [0.1234567, 1e-5 * (1 + 1e-9), float("inf")])
def test_constants_that_differ_in_any_digit_are_two(other: float):
    graph = Graph()
    names = [graph.real(value) for value in (0.12345671, 1e-5, other, 1e-5)]
    assert len(set(names)) == 3
    assert graph.tensors[names[2]] == torch.tensor(other)


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(InputError, match="found: No space left on device; make room"):
        save_onnx(found(CONFIGS["gpt2"]), tmp_path / "x.onnx")
    assert not list(tmp_path.iterdir())


def test_without_the_extra_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(
        InputError, match=r"expected the extra onnx .* found it missing: pip install 'groundup\[onnx\]'"
    ):
        save_onnx(found(CONFIGS["gpt2"]), tmp_path / "x.onnx")
    assert not list(tmp_path.iterdir())
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert largest_onnx_difference(found(CONFIGS["gpt2"]).model, tmp_path / "x.onnx") is None


def test_what_the_graph_would_leave_out_is_refused(tmp_path: Path):
    one = found(CONFIGS["gpt2"])
    one.model.blocks[0].attention.query.adapter = torch.nn.Linear(2, 2)
    with pytest.raises(InputError, match=r"a plain matrix in blocks\.0\.attention\.query, found layers inside"):
        save_onnx(one, tmp_path / "x.onnx")
    one = replace(one, model=found(CONFIGS["gpt2"]).model)
    one.model.prefix = torch.nn.Identity()
    with pytest.raises(InputError, match="learned vectors before the text"):
        save_onnx(one, tmp_path / "x.onnx")
    assert not list(tmp_path.iterdir())
