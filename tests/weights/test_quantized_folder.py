"""A quantized model saved and opened has the same bits; a damaged or lying folder is named; no half folder is left."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.quantization.test_calibration import TEXT
from tests.quantization.test_convert import GPT2, MODELS, TOKENS, model
from tests.weights.gguf_files import KINDS
from tests.weights.test_gguf_packed import a_file

from groundup.configs.finetuning import LoRAConfig
from groundup.configs.model import GPTConfig
from groundup.configs.quantization import QuantizationConfig
from groundup.errors import InputError
from groundup.finetuning.lora import apply_lora
from groundup.models.gpt import GPT
from groundup.quantization.convert import quantize_model, quantized_layers
from groundup.resolve import find_model, open_model
from groundup.tokenization import END_OF_TEXT, ByteBPE, CharacterTokenizer
from groundup.tokenization.added import with_end_token
from groundup.weights import quantized_folder
from groundup.weights.gguf_packed import load_gguf_packed
from groundup.weights.manifest import write_manifest
from groundup.weights.pretrained import Pretrained
from groundup.weights.quantized_folder import load_quantized, save_quantized

CONFIGS = {
    "int4": QuantizationConfig(),
    "int4 with scaled inputs": QuantizationConfig(activation_aware=True, calibration_tokens=64),
    "int8": QuantizationConfig(to="int8"),
    "int8, affine, one scale": QuantizationConfig(to="int8", symmetric=False, granularity="tensor"),
    "dynamic": QuantizationConfig(to="int8", activations="dynamic"),
    "static": QuantizationConfig(to="int8", activations="static", calibration_tokens=64),
    "skip": QuantizationConfig(skip=("blocks.1", "token_embedding")),
}


def quantized(config: QuantizationConfig = CONFIGS["int4"], kind: GPTConfig = GPT2, **texts: Any) -> Pretrained:
    tokenizer = CharacterTokenizer("".join(map(chr, range(65, 105))))
    return Pretrained(
        model=quantize_model(model(kind), config, TEXT), **{"tokenizer": tokenizer, "source": "here"} | texts
    )


def bits(found: GPT) -> dict[str, torch.Tensor]:
    return dict(found.state_dict())


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize("kind", [MODELS["gpt2, untied"], MODELS["llama"]])
def test_what_is_opened_has_the_same_bits(tmp_path: Path, kind: GPTConfig, config: QuantizationConfig):
    found = quantized(config, kind)
    save_quantized(found, tmp_path / "out", config, {"perplexity": 3.5})
    opened = load_quantized(tmp_path / "out")
    before, after = bits(found.model), bits(opened.model)
    assert list(before) == list(after)
    assert all(after[name].dtype == t.dtype and torch.equal(after[name], t) for name, t in before.items())
    with torch.inference_mode():
        assert torch.equal(opened.model(TOKENS), found.model(TOKENS))
    assert opened.model.config == kind
    assert not opened.model.training
    told = json.loads((tmp_path / "out" / "quantized.json").read_text())
    assert (told["note"], told["quantization"]["to"], told["source"]) == ({"perplexity": 3.5}, config.to, "here")
    assert told["n_parameters"] == model(kind).n_parameters()


def test_a_factor_of_the_embedding_is_kept(tmp_path: Path):
    found = quantized(kind=MODELS["sinusoidal"])
    save_quantized(found, tmp_path / "out")
    with torch.inference_mode():
        assert torch.equal(load_quantized(tmp_path / "out").model(TOKENS), found.model(TOKENS))


def test_what_belongs_to_the_model_goes_with_it(tmp_path: Path):
    tokenizer = with_end_token(ByteBPE([(b"t", b"h")], [END_OF_TEXT, "<|im_end|>"]), "<|im_end|>")
    texts = {
        "tokenizer": tokenizer, "chat_template": "{{ messages }}", "licence": "mit", "bos": (257,),
        "template_tokens": {"bos_token": END_OF_TEXT}, "opening": lambda: [257],
    }  # fmt: skip
    found = quantized(kind=replace(GPT2, vocab_size=tokenizer.vocab_size), **texts)
    save_quantized(found, tmp_path / "out")
    opened = open_model(str(tmp_path / "out"))
    assert opened.encode("the") == found.encode("the")
    assert opened.tokenizer.end_id == tokenizer.end_id
    for name in ("chat_template", "licence", "bos", "template_tokens"):
        assert getattr(opened, name) == getattr(found, name)
    assert opened.opening() == [257]
    assert opened.source == str(tmp_path / "out")
    assert find_model(str(tmp_path / "out")).kind == "quantized"


@pytest.mark.parametrize("kind", [KINDS.Q4_0, KINDS.Q8_0])
def test_a_packed_gguf_is_saved_as_it_is(tmp_path: Path, kind: KINDS):
    found = load_gguf_packed(a_file(tmp_path / "model.gguf", "llama", kind))
    save_quantized(found, tmp_path / "out")
    tokens = torch.tensor([[1, 2, 260]])
    with torch.inference_mode():
        assert torch.equal(load_quantized(tmp_path / "out").model(tokens), found.model(tokens))


@pytest.mark.parametrize("name", ["model.safetensors", "quantized.json", "tokenizer.json", "manifest.json"])
@pytest.mark.parametrize("damage", ["cut", "flip", "gone"])
def test_a_damaged_file_is_named(tmp_path: Path, name: str, damage: str):
    save_quantized(quantized(), tmp_path / "out")
    path = tmp_path / "out" / name
    content = path.read_bytes()
    place = len(content) // 2
    if damage == "gone":
        path.unlink()
    else:
        flipped = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
        path.write_bytes(content[:-1] if damage == "cut" else flipped)
    with pytest.raises(InputError) as caught:
        load_quantized(tmp_path / "out")
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def lying(folder: Path, change: Any) -> str:
    """Return what is said of a folder that was changed and whose manifest agrees."""
    save_quantized(quantized(), folder)
    tensors, path = load_file(folder / "model.safetensors"), folder / "quantized.json"
    told = json.loads(path.read_text())
    change(tensors, told)
    save_file(tensors, folder / "model.safetensors")
    path.write_text(json.dumps(told))
    (folder / "manifest.json").unlink()
    write_manifest(folder)
    with pytest.raises(InputError) as caught:
        load_quantized(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


QUERY = "blocks.0.attention.query"


def _cut(name: str) -> Any:
    return lambda tensors, told: tensors.update({name: tensors[name][:, :-1].contiguous()})


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (_cut(f"{QUERY}.packed"), QUERY),
        (_cut(f"{QUERY}.minimum"), QUERY),
        (lambda tensors, told: tensors.update({f"{QUERY}.scale": tensors[f"{QUERY}.scale"].float()}), QUERY),
        (lambda tensors, told: tensors.update({f"{QUERY}.bias": torch.zeros(3)}), QUERY),
        (lambda tensors, told: tensors.update({f"{QUERY}.more": torch.zeros(3)}), f"{QUERY} with more besides"),
        (lambda tensors, told: tensors.pop(f"{QUERY}.packed"), QUERY),
        (lambda tensors, told: tensors.pop("final_norm.weight"), "final_norm.weight"),
        (lambda tensors, told: tensors.update({"nonsense": torch.zeros(3)}), "nonsense"),
        (lambda tensors, told: told["layers"].update({"nonsense": "linear"}), "nonsense"),
        (lambda tensors, told: told["layers"].update({QUERY: "embedding"}), QUERY),
        (lambda tensors, told: told["layers"].update({"token_embedding": "linear"}), "token_embedding"),
        (lambda tensors, told: told["model"].update({"n_layers": 10**12}), "1000000000000 layers"),
        (lambda tensors, told: told["model"].update({"d_ff": 64}), "feed_forward"),
        (lambda tensors, told: told["model"].update({"nonsense": 1}), "nonsense"),
        (lambda tensors, told: told.update({"format_version": 2}), "found 2"),
        (lambda tensors, told: told.pop("texts"), "quantized.json"),
        (lambda tensors, told: told.update({"layers": 3}), "quantized.json"),
    ],
)
def test_a_folder_that_lies_is_refused(tmp_path: Path, change: Any, expected: str):
    assert expected in lying(tmp_path / "out", change)


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(quantized_folder, "save_file", full)
    with pytest.raises(InputError, match="No space left on device"):
        save_quantized(quantized(), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_saved_is_refused(tmp_path: Path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(InputError, match="in use"):
        save_quantized(quantized(), tmp_path)
    plain = Pretrained(model=model(), tokenizer=CharacterTokenizer("ab"), source="here")
    with pytest.raises(InputError, match="quantize it first"):
        save_quantized(plain, tmp_path / "out")
    tuned = quantized()
    apply_lora(tuned.model, LoRAConfig(rank=2))
    with pytest.raises(InputError, match="adapter"):
        save_quantized(tuned, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_no_matrix_becomes_floats_on_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    save_quantized(quantized(), tmp_path / "out")

    def refuse(*_: object) -> None:
        raise AssertionError("a matrix was laid out in floating point")

    for name in ("int4.Int4", "int8.Int8"):
        monkeypatch.setattr(f"groundup.quantization.{name}.dequantized", refuse)
    opened = load_quantized(tmp_path / "out").model
    assert all(name in quantized_layers(opened) for name in ("token_embedding", QUERY))
